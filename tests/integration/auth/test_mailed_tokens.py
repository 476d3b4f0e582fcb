"""Addresses proven and changed, passwords reset and changed: through the pipeline, on real engines."""

import asyncio
import json
from dataclasses import replace

import pytest

from handlers.auth import mailing
from handlers.auth.rules import RESETS_MAX, TOKEN_LIFE_MS, TOKENS_MAX
from handlers.contract import ANONYMOUS, Caller
from protocols.auth.commands import (
    BadCredentials,
    ChangeEmail,
    ChangePassword,
    DescribeMe,
    EmailAlreadyVerified,
    EmailTaken,
    GetMe,
    GetProfile,
    Login,
    MailTokenInvalid,
    PasswordTooCommon,
    Register,
    RequestReset,
    ResendVerification,
    ResetPassword,
    SessionOver,
    TooManyMails,
    VerifyEmail,
)
from protocols.auth.refusals import UserNotFound
from protocols.errors import InvalidInput, RateLimited
from protocols.values import new_id, now_instant
from tests.support.auth_system import PASSWORD, AuthTestSystem, answer_resets

NEW_PASSWORD = "harbour pilot almanac"


async def ask_reset(system: AuthTestSystem, email: str) -> None:
    await system.run("request_reset", RequestReset(email=email))
    await answer_resets(system)


def types_for(system: AuthTestSystem, user_id) -> list[str]:
    return [
        json.loads(text)["type"] for channel, text in system.published if channel == f"personal:#{user_id}"
    ]


async def test_address_is_proven_once_by_the_token_of_the_mail(system):
    member = await system.join()
    assert (await system.run("get_me", GetMe(), member.caller))["email_verified"] is False
    (mail,) = await system.mails(member.email)
    assert (mail.text, mail.facts["url"]) == ("verify_email", "http://127.0.0.1:8080")
    await system.run("verify_email", VerifyEmail(token=mail.facts["token"]))
    assert (await system.run("get_me", GetMe(), member.caller))["email_verified"] is True
    assert types_for(system, member.user_id)[-1] == "email_verified"
    with pytest.raises(MailTokenInvalid):
        await system.run("verify_email", VerifyEmail(token=mail.facts["token"]))
    with pytest.raises(EmailAlreadyVerified):
        await system.run("resend_verification", ResendVerification(), member.caller)


async def test_token_is_stored_as_its_hash_and_the_mail_encrypted(system):
    member = await system.join()
    token = (await system.token(member.email)).encode()
    async with system.database.connection() as db:
        kept = [bytes(row[0]) for row in await db.fetch("SELECT token_hash FROM account_tokens")]
        kept += [bytes(row[0]) for row in await db.fetch("SELECT closed FROM mails WHERE closed IS NOT NULL")]
    assert kept
    assert not any(token in text or member.email.encode() in text for text in kept)


@pytest.mark.parametrize("token", ["", "x", "a" * 43, "a" * 64, "\u00e4" * 43, "a" * 42 + "\n"])
async def test_what_is_no_token_of_ours_is_refused(system, token):
    with pytest.raises(MailTokenInvalid):
        await system.run("verify_email", VerifyEmail(token=token))
    with pytest.raises(MailTokenInvalid):
        await system.run("reset_password", ResetPassword(token=token, new_password=NEW_PASSWORD))


async def test_tokens_are_good_for_their_purpose_and_time_alone(system):
    member = await system.join()
    token = await system.token(member.email)
    with pytest.raises(MailTokenInvalid):
        await system.run("reset_password", ResetPassword(token=token, new_password=NEW_PASSWORD))
    await ask_reset(system, member.email)
    reset = await system.token(member.email)
    with pytest.raises(MailTokenInvalid):
        await system.run("verify_email", VerifyEmail(token=reset))
    async with system.database.connection() as db:
        await db.execute("UPDATE account_tokens SET expires_at_ms = $1", now_instant() - 1)
    for verb, command in (
        ("verify_email", VerifyEmail(token=token)),
        ("reset_password", ResetPassword(token=reset, new_password=NEW_PASSWORD)),
    ):
        with pytest.raises(MailTokenInvalid):
            await system.run(verb, command)


async def test_mails_of_one_purpose_are_bounded(system):
    member = await system.join()
    for _ in range(TOKENS_MAX - 1):
        await system.run("resend_verification", ResendVerification(), member.caller)
    with pytest.raises(TooManyMails):
        await system.run("resend_verification", ResendVerification(), member.caller)
    for _ in range(TOKENS_MAX + 2):
        await ask_reset(system, member.email)
    texts = [mail.text for mail in await system.mails(member.email)]
    assert texts == ["verify_email"] * TOKENS_MAX + ["reset_password"] * TOKENS_MAX


async def test_reset_ends_every_session_and_the_old_password(system):
    member = await system.join()
    await ask_reset(system, member.email)
    token = await system.token(member.email)
    with pytest.raises(PasswordTooCommon):
        await system.run("reset_password", ResetPassword(token=token, new_password=member.email))
    await system.run("reset_password", ResetPassword(token=token, new_password=NEW_PASSWORD))
    await system.watch.refresh()
    with pytest.raises(SessionOver):
        await system.verifier.verify_access_token(member.access_token)
    with pytest.raises(BadCredentials):
        await system.run("login", Login(email=member.email, password=PASSWORD))
    user = (await system.run("login", Login(email=member.email, password=NEW_PASSWORD)))["user"]
    assert user["email_verified"] is True
    assert types_for(system, member.user_id)[-3:] == ["session_ended", "password_changed", "session_started"]
    assert [mail.text for mail in await system.mails(member.email)][-2:] == ["password_changed", "new_device"]
    with pytest.raises(MailTokenInvalid):
        await system.run("reset_password", ResetPassword(token=token, new_password=PASSWORD))


async def test_one_of_many_uses_of_a_token_at_once_succeeds(system):
    member = await system.join()
    await ask_reset(system, member.email)
    token = await system.token(member.email)
    tries = [
        system.run("reset_password", ResetPassword(token=token, new_password=f"{NEW_PASSWORD} {number}"))
        for number in range(8)
    ]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["MailTokenInvalid"] * 7 + ["dict"]


async def test_an_unknown_address_gets_the_same_answer_and_no_mail(system):
    """`send_resets` looks for the account after the answer."""
    member, stranger = await system.join(), f"{new_id().hex}@example.org"
    known = await system.run("request_reset", RequestReset(email=member.email))
    unknown = await system.run("request_reset", RequestReset(email=stranger))
    assert known == unknown
    await answer_resets(system)
    assert await system.mails(stranger) == []
    async with system.database.connection() as db:
        assert await db.fetchval("SELECT count(*) FROM reset_requests") == 0


async def test_requests_of_one_network_are_bounded(system):
    caller = Caller(remote_ip="203.0.113.77")
    command = RequestReset(email="nobody@example.org")
    for _ in range(RESETS_MAX):
        await system.run("request_reset", command, caller)
    with pytest.raises(RateLimited):
        await system.run("request_reset", command, caller)


async def test_mails_that_one_network_has_sent_to_others_are_bounded(system, monkeypatch):
    monkeypatch.setattr(mailing, "MAILS_MAX", 2)
    network = Caller(remote_ip="203.0.113.78")
    emails = [f"{new_id().hex}@example.org" for _ in range(3)]
    for email in emails:
        command = Register(email=email, password=PASSWORD, display_name="Amina")
        reply = await system.run("register", command, network)
    assert [len(await system.mails(email)) for email in emails] == [1, 1, 0]
    member = replace((await system.member(emails[-1], reply)).caller, remote_ip=network.remote_ip)
    with pytest.raises(RateLimited):
        await system.run("resend_verification", ResendVerification(), member)
    with pytest.raises(RateLimited):
        await system.run("change_email", ChangeEmail(email=emails[0], password=PASSWORD), member)
    await system.run("resend_verification", ResendVerification(), replace(member, remote_ip="203.0.113.79"))
    assert len(await system.mails(emails[-1])) == 1


async def test_change_of_password_keeps_this_session_alone(system):
    member = await system.join()
    other = await system.member(
        member.email, await system.run("login", Login(email=member.email, password=PASSWORD))
    )
    with pytest.raises(BadCredentials):
        await system.run(
            "change_password",
            ChangePassword(current_password="no such", new_password=NEW_PASSWORD),
            member.caller,
        )
    command = ChangePassword(current_password=PASSWORD, new_password=NEW_PASSWORD)
    await system.run("change_password", command, member.caller)
    await system.watch.refresh()
    await system.verifier.verify_access_token(member.access_token)
    with pytest.raises(SessionOver):
        await system.verifier.verify_access_token(other.access_token)
    with pytest.raises(BadCredentials):
        await system.run("change_password", command, member.caller)


async def test_guesses_at_the_password_of_an_open_session_are_bounded(system):
    member = await system.join()
    command = ChangePassword(current_password="no such", new_password=NEW_PASSWORD)
    refusals = []
    for _ in range(12):
        with pytest.raises((BadCredentials, RateLimited)) as refused:
            await system.run("change_password", command, member.caller)
        refusals.append(refused.type)
    assert refusals[0] is BadCredentials
    assert refusals[-1] is RateLimited


async def test_a_new_address_counts_once_it_is_proven_and_both_are_told(system):
    member, new = await system.join(), f"{new_id().hex}@example.org"
    with pytest.raises(BadCredentials):
        await system.run("change_email", ChangeEmail(email=new, password="no such"), member.caller)
    await system.run("change_email", ChangeEmail(email=new.upper(), password=PASSWORD), member.caller)
    assert [mail.text for mail in await system.mails(member.email)][-1] == "email_change_begun"
    assert (await system.run("get_me", GetMe(), member.caller))["email"] == member.email
    await system.run("verify_email", VerifyEmail(token=await system.token(new)))
    me = await system.run("get_me", GetMe(), member.caller)
    assert (me["email"], me["email_verified"]) == (new, True)
    assert [mail.text for mail in await system.mails(member.email)][-1] == "email_changed"
    assert [mail.text for mail in await system.mails(new)] == ["confirm_email", "email_changed"]
    await system.run("login", Login(email=new, password=PASSWORD))


async def test_an_address_that_was_taken_meanwhile_is_refused_and_the_token_stays(system):
    member, rival = await system.join(), await system.join()
    await system.run("change_email", ChangeEmail(email=rival.email, password=PASSWORD), member.caller)
    token = await system.token(rival.email)
    for _ in range(2):
        with pytest.raises(EmailTaken):
            await system.run("verify_email", VerifyEmail(token=token))
    assert (await system.run("get_me", GetMe(), member.caller))["email"] == member.email


async def test_new_device_is_told_by_mail_and_a_known_one_is_not(system):
    member = await system.join()
    first = await system.run("login", Login(email=member.email, password=PASSWORD))
    assert [mail.text for mail in await system.mails(member.email)] == ["verify_email", "new_device"]
    again = Login(email=member.email, password=PASSWORD, device_token=first["device_token"])
    await system.run("login", again)
    assert len(await system.mails(member.email)) == 2


async def test_people_describe_themselves_and_others_see_no_address(system):
    member = await system.join("Amina")
    changed = DescribeMe(bio="  Cairo to Lyon, monthly ", locale="ar-EG", time_zone="Africa/Cairo")
    me = await system.run("describe_me", changed, member.caller)
    assert [me[name] for name in ("display_name", "bio", "locale", "time_zone")] == [
        "Amina",
        "Cairo to Lyon, monthly",
        "ar-EG",
        "Africa/Cairo",
    ]
    profile = await system.run("get_profile", GetProfile(user_id=member.user_id), ANONYMOUS)
    assert set(profile) == {"id", "display_name", "bio", "member_since", "rating", "badges"}
    assert (profile["badges"], profile["rating"]) == ([], None)
    assert member.email not in json.dumps(profile)
    with pytest.raises(InvalidInput):
        await system.run("describe_me", DescribeMe(time_zone="Mars/Olympus"), member.caller)
    with pytest.raises(InvalidInput):
        await system.run("describe_me", DescribeMe(display_name="\u200d"), member.caller)
    with pytest.raises(UserNotFound):
        await system.run("get_profile", GetProfile(user_id=new_id()), ANONYMOUS)


def test_a_token_that_replaces_a_password_lives_ten_minutes_at_most():
    assert TOKEN_LIFE_MS["reset_password"] <= 600_000
