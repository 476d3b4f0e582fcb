"""Second factors: codes of an app, recovery codes, guessing, and proving again that it is you."""

import asyncio
import base64
import json

import pytest

from handlers.auth import DOMAIN
from handlers.auth.factors import rules
from handlers.auth.rules import PAIR_ATTEMPTS_MAX
from handlers.contract import ANONYMOUS, Caller
from protocols.auth.commands import (
    AccountBanned,
    BadCredentials,
    BanUser,
    ChangePassword,
    Login,
    RequestReset,
    ResetPassword,
)
from protocols.auth.factors import (
    BeginTotp,
    ChallengeInvalid,
    CodeWrong,
    ConfirmTotp,
    FactorMissing,
    FactorPresent,
    LoginSecondFactor,
    RemoveTotp,
    ReplaceRecoveryCodes,
    SecondFactorRequired,
    StepUp,
)
from protocols.auth.refusals import StepUpRequired
from protocols.errors import InvalidInput, RateLimited
from protocols.values import new_id, now_instant
from tests.support.auth_system import PASSWORD, answer_resets
from tests.support.domains import timer_handlers

TIMERS = timer_handlers(DOMAIN)


class Phone:
    """An authenticator app: every code it shows is of another step that is good now."""

    def __init__(self, secret):
        self.secret = base64.b32decode(secret)

    def code(self, drift=0):
        return rules.code_of(self.secret, now_instant() // rules.STEP_MS + drift)

    def wrong(self):
        good = {self.code(drift) for drift in range(-2, 3)}
        return next(code for code in map("{:06}".format, range(10)) if code not in good)


async def forget_step(system, member):
    """As if the last code had been used long ago."""
    async with system.database.connection() as db:
        await db.execute("UPDATE totp_factors SET last_step = 0 WHERE user_id = $1", member.user_id)


async def grow_old(system, member):
    """As if account and session had been made an hour ago."""
    async with system.database.connection() as db:
        old = now_instant() - 3_600_000
        await db.execute("UPDATE users SET created_at_ms = $2 WHERE user_id = $1", member.user_id, old)
        await db.execute("UPDATE sessions SET fresh_at_ms = $2 WHERE user_id = $1", member.user_id, old)


async def add_phone(system, member):
    """Return the app of somebody whose sign-ins need its codes, none of which was used, and the recovery codes."""
    began = await system.run("begin_totp", BeginTotp(password=PASSWORD), member.caller)
    phone = Phone(began["secret"])
    confirmed = await system.run("confirm_totp", ConfirmTotp(code=phone.code()), member.caller)
    await forget_step(system, member)
    return phone, confirmed["codes"]


async def challenge_of(system, member, caller=ANONYMOUS):
    with pytest.raises(SecondFactorRequired) as asked:
        await system.run("login", Login(email=member.email, password=PASSWORD), caller)
    assert asked.value.facts["valid_s"] == 300
    assert asked.value.facts["ways"] == ["code", "recovery_code"]
    return asked.value.facts["challenge"]


async def complete(system, challenge, caller=ANONYMOUS, **shown):
    return await system.run("login_second_factor", LoginSecondFactor(challenge=challenge, **shown), caller)


def events(system, member):
    mine = f"personal:#{member.user_id}"
    return [json.loads(text) for channel, text in system.published if channel == mine]


async def test_a_sign_in_needs_a_code_once_the_app_has_shown_one(system):
    member = await system.join()
    began = await system.run("begin_totp", BeginTotp(password=PASSWORD), member.caller)
    assert began["uri"].startswith("otpauth://totp/Mnbara:")
    assert began["secret"] in began["uri"]
    assert (await system.run("login", Login(email=member.email, password=PASSWORD)))["tokens"]
    phone = Phone(began["secret"])
    with pytest.raises(CodeWrong):
        await system.run("confirm_totp", ConfirmTotp(code=phone.wrong()), member.caller)
    assert (await system.run("login", Login(email=member.email, password=PASSWORD)))["tokens"]
    confirmed = await system.run("confirm_totp", ConfirmTotp(code=phone.code()), member.caller)
    assert len(set(confirmed["codes"])) == 10
    with pytest.raises(FactorPresent):
        await system.run("begin_totp", BeginTotp(password=PASSWORD), member.caller)
    challenge = await challenge_of(system, member)
    with pytest.raises(CodeWrong):
        await complete(system, challenge, code=phone.code())  # it was shown before
    await forget_step(system, member)
    signed_in = await complete(system, challenge, code=phone.code())
    assert signed_in["user"]["id"] == str(member.user_id)
    assert [event["type"] for event in events(system, member)].count("factor_added") == 1
    assert "factor_added" in [mail.text for mail in await system.mails(member.email)]


async def test_a_secret_asks_for_the_password_and_is_not_readable_in_the_database(system, pool):
    member = await system.join()
    with pytest.raises(BadCredentials):
        await system.run("begin_totp", BeginTotp(password="no such password"), member.caller)
    began = await system.run("begin_totp", BeginTotp(password=PASSWORD), member.caller)
    closed = await pool.fetchval("SELECT closed FROM totp_factors WHERE user_id = $1", member.user_id)
    secret = base64.b32decode(began["secret"])
    assert secret not in closed
    assert began["secret"].encode() not in closed


async def test_one_code_signs_in_once_of_ten_at_once(system):
    member = await system.join()
    phone, _ = await add_phone(system, member)
    challenges = [await challenge_of(system, member) for _ in range(4)]
    code = phone.code()
    results = await asyncio.gather(
        *(complete(system, challenges[n % 4], code=code) for n in range(10)), return_exceptions=True
    )
    assert sum(isinstance(result, dict) for result in results) == 1
    refused = {type(result) for result in results if not isinstance(result, dict)}
    assert refused <= {CodeWrong, ChallengeInvalid}


async def test_one_challenge_signs_in_once_of_ten_at_once(system, pool):
    member = await system.join()
    phone, recovery = await add_phone(system, member)
    challenge = await challenge_of(system, member)
    results = await asyncio.gather(
        *(complete(system, challenge, recovery_code=code) for code in recovery), return_exceptions=True
    )
    assert sum(isinstance(result, dict) for result in results) == 1
    left = await pool.fetchval("SELECT count(*) FROM recovery_codes WHERE user_id = $1", member.user_id)
    assert left == 9
    with pytest.raises(ChallengeInvalid):
        await complete(system, challenge, code=phone.code())


async def test_a_recovery_code_is_good_once_and_new_ones_replace_it(system):
    member = await system.join()
    _, recovery = await add_phone(system, member)
    shown = recovery[0].upper().replace("-", " ")
    assert await complete(system, await challenge_of(system, member), recovery_code=shown)
    challenge = await challenge_of(system, member)
    with pytest.raises(CodeWrong):
        await complete(system, challenge, recovery_code=recovery[0])
    renewed = await system.run("replace_recovery_codes", ReplaceRecoveryCodes(), member.caller)
    with pytest.raises(CodeWrong):
        await complete(system, challenge, recovery_code=recovery[1])
    assert await complete(system, challenge, recovery_code=renewed["codes"][1])


async def test_a_challenge_has_five_codes_and_five_minutes(system, pool):
    member = await system.join()
    phone, _ = await add_phone(system, member)
    challenge = await challenge_of(system, member)
    for _ in range(rules.CHALLENGE_TRIES_MAX):
        with pytest.raises(CodeWrong):
            await complete(system, challenge, code=phone.wrong())
    with pytest.raises(ChallengeInvalid):
        await complete(system, challenge, code=phone.code())
    late = await challenge_of(system, member)
    await pool.execute("UPDATE sign_in_challenges SET expires_at_ms = $1", now_instant() - 1)
    with pytest.raises(ChallengeInvalid):
        await complete(system, late, code=phone.code())
    for challenge in ("", "x" * 43):
        with pytest.raises(ChallengeInvalid):
            await complete(system, challenge, code=phone.code())


async def test_wrong_codes_lock_out_their_network_and_the_owner_is_told(system):
    member = await system.join()
    phone, _ = await add_phone(system, member)
    thief = Caller(remote_ip=f"2001:db8:{new_id().hex[-4:]}:{new_id().hex[-8:-4]}::1")
    challenges = [await challenge_of(system, member, thief) for _ in range(3)]
    results = await asyncio.gather(
        *(complete(system, challenges[n % 3], thief, code=phone.wrong()) for n in range(15)),
        return_exceptions=True,
    )
    assert [type(result) for result in results].count(CodeWrong) == PAIR_ATTEMPTS_MAX
    assert [type(result) for result in results].count(RateLimited) == 15 - PAIR_ATTEMPTS_MAX
    with pytest.raises(RateLimited):
        await complete(system, challenges[0], thief, code=phone.code())
    for kind, handler in TIMERS.items():
        while await system.pipeline.run_timers(kind, handler, 500):
            pass
    assert [e["refused"] for e in events(system, member) if e["type"] == "password_guessed"] == ["network"]
    elsewhere = await challenge_of(system, member)
    assert await complete(system, elsewhere, code=phone.code())


async def test_who_changes_the_password_ends_sign_ins_that_wait_for_a_code(system):
    member = await system.join()
    phone, _ = await add_phone(system, member)
    challenge = await challenge_of(system, member)
    changed = ChangePassword(current_password=PASSWORD, new_password="harbour light ledger")
    await system.run("change_password", changed, member.caller)
    with pytest.raises(ChallengeInvalid):
        await complete(system, challenge, code=phone.code())


async def test_a_banned_account_is_not_let_in_by_its_code(system):
    member = await system.join()
    phone, _ = await add_phone(system, member)
    challenge = await challenge_of(system, member)
    admin = Caller(new_id(), new_id(), frozenset({"user", "admin"}))
    await system.run("ban_user", BanUser(user_id=member.user_id), admin)
    with pytest.raises(AccountBanned):
        await complete(system, challenge, code=phone.code())


async def test_whoever_proves_the_address_first_is_not_shut_out_by_an_app_of_a_stranger(system):
    squatter = await system.join()
    await add_phone(system, squatter)
    await system.run("request_reset", RequestReset(email=squatter.email))
    await answer_resets(system)
    reset = ResetPassword(token=await system.token(squatter.email), new_password="harbour light ledger")
    await system.run("reset_password", reset)
    login = Login(email=squatter.email, password="harbour light ledger")
    assert (await system.run("login", login))["tokens"]


async def test_the_app_is_removed_by_a_code_of_it(system):
    member = await system.join()
    with pytest.raises(FactorMissing):
        await system.run("remove_totp", RemoveTotp(code="123456"), member.caller)
    phone, _ = await add_phone(system, member)
    with pytest.raises(CodeWrong):
        await system.run("remove_totp", RemoveTotp(code=phone.wrong()), member.caller)
    await system.run("remove_totp", RemoveTotp(code=phone.code()), member.caller)
    assert (await system.run("login", Login(email=member.email, password=PASSWORD)))["tokens"]
    assert events(system, member)[-2]["type"] == "factor_removed"
    assert "factor_removed" in [mail.text for mail in await system.mails(member.email)]


async def test_codes_of_who_is_signed_in_are_counted(system):
    member = await system.join()
    phone, _ = await add_phone(system, member)
    wrong = RemoveTotp(code=phone.wrong())
    results = await asyncio.gather(
        *(system.run("remove_totp", wrong, member.caller) for _ in range(PAIR_ATTEMPTS_MAX + 5)),
        return_exceptions=True,
    )
    assert [type(result) for result in results].count(CodeWrong) == PAIR_ATTEMPTS_MAX
    assert [type(result) for result in results].count(RateLimited) == 5


async def test_an_old_session_steps_up_by_the_code_where_there_is_one(system):
    member = await system.join()
    phone, recovery = await add_phone(system, member)
    await grow_old(system, member)
    changed = ChangePassword(current_password=PASSWORD, new_password="harbour light ledger")
    with pytest.raises(StepUpRequired) as refused:
        await system.run("change_password", changed, member.caller)
    assert refused.value.facts["ways"] == ["code"]
    with pytest.raises(StepUpRequired):
        await system.run("replace_recovery_codes", ReplaceRecoveryCodes(), member.caller)
    with pytest.raises(StepUpRequired):
        await system.run("step_up", StepUp(password=PASSWORD), member.caller)
    with pytest.raises(CodeWrong):
        await system.run("step_up", StepUp(code=phone.wrong()), member.caller)
    stepped = await system.run("step_up", StepUp(code=phone.code()), member.caller)
    assert set(stepped) == {"fresh_until"}
    with pytest.raises(CodeWrong):
        await system.run("step_up", StepUp(code=phone.code()), member.caller)
    await system.run("change_password", changed, member.caller)
    await system.run("step_up", StepUp(code=recovery[0]), member.caller)


async def test_an_old_session_steps_up_by_the_password_elsewhere(system, pool):
    member = await system.join()
    await grow_old(system, member)
    with pytest.raises(InvalidInput):
        await system.run("step_up", StepUp(), member.caller)
    with pytest.raises(BadCredentials):
        await system.run("step_up", StepUp(password="no such password"), member.caller)
    with pytest.raises(FactorMissing):
        await system.run("step_up", StepUp(code="123456"), member.caller)
    fresh = "SELECT fresh_at_ms FROM sessions WHERE session_id = $1"
    before = await pool.fetchval(fresh, member.session_id)
    await system.run("step_up", StepUp(password=PASSWORD), member.caller)
    assert await pool.fetchval(fresh, member.session_id) > before + 3_000_000


async def test_an_account_without_a_password_signs_in_again_for_a_secret(system, pool):
    member = await system.join()
    await pool.execute("UPDATE users SET password_set = false WHERE user_id = $1", member.user_id)
    await grow_old(system, member)
    with pytest.raises(StepUpRequired) as refused:
        await system.run("begin_totp", BeginTotp(), member.caller)
    assert refused.value.facts["ways"] == ["sign_in"]
    await pool.execute(
        "UPDATE sessions SET fresh_at_ms = $2 WHERE session_id = $1", member.session_id, now_instant()
    )
    assert (await system.run("begin_totp", BeginTotp(), member.caller))["secret"]
