"""Register, sign in, me, sessions, roles, bans: through the pipeline, on real engines."""

import asyncio
import json
import threading
from dataclasses import replace
from typing import Any
from uuid import UUID

import argon2
import pytest

from handlers.auth import ROUTES
from handlers.auth.rules import IP_ATTEMPTS_MAX, PAIR_ATTEMPTS_MAX, SESSIONS_MAX
from handlers.auth.tools import AuthTools
from handlers.contract import ANONYMOUS, Caller, Permission
from protocols.auth.commands import (
    AccountBanned,
    BadCredentials,
    BanUser,
    EmailTaken,
    EndSession,
    GetMe,
    ListSessions,
    Login,
    Logout,
    PasswordTooCommon,
    Refresh,
    Register,
    SessionNotFound,
    SessionOver,
    SetRoles,
    TokenExpired,
    UnbanUser,
)
from protocols.auth.refusals import UserNotFound
from protocols.errors import (
    InvalidInput,
    NotAllowed,
    RateLimited,
    Refusal,
    TemporarilyUnavailable,
    Unauthenticated,
)
from protocols.values import new_id
from server.commands.pipeline import Pipeline, check_permission
from storage.engines.redis import open_redis
from storage.platform.vault import Vault
from tests.support.auth_system import PASSWORD, ROUTE, AuthTestSystem, Member

Pool = Any


def admin() -> Caller:
    return Caller(new_id(), new_id(), frozenset({"user", "admin"}))


def events_for(system: AuthTestSystem, user_id: UUID) -> list[dict[str, Any]]:
    """What was published to one user, in order."""
    return [json.loads(text) for channel, text in system.published if channel == f"personal:#{user_id}"]


async def login(system: AuthTestSystem, member: Member, caller: Caller = ANONYMOUS) -> Member:
    reply = await system.run("login", Login(email=member.email, password=PASSWORD), caller)
    return await system.member(member.email, reply)


async def count_rows(pool: Pool) -> tuple[int, int, int]:
    row = await pool.fetchrow(
        "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM sessions), (SELECT count(*) FROM events)"
    )
    return tuple(row)


async def test_registration_gives_an_account_and_working_tokens(system: AuthTestSystem, pool: Pool) -> None:
    command = Register(email="First.One@Example.org", password=PASSWORD, display_name="  First  ")
    reply = await system.run("register", command)
    user = reply["user"]
    assert set(user) == {
        "id",
        "email",
        "email_verified",
        "display_name",
        "bio",
        "locale",
        "time_zone",
        "roles",
    }
    assert (user["email"], user["display_name"], user["roles"]) == (
        "first.one@example.org",
        "First",
        ["user"],
    )
    tokens = reply["tokens"]
    assert set(tokens) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert tokens["token_type"] == "Bearer"
    assert 855 <= tokens["expires_in"] <= 900
    member = await system.member(user["email"], reply)
    assert await system.run("get_me", GetMe(), member.caller) == user
    kept = await pool.fetchval("SELECT password_hash FROM users WHERE user_id = $1", member.user_id)
    assert argon2.extract_parameters(kept).type is argon2.Type.ID


async def test_address_in_another_case_is_the_same_account(system: AuthTestSystem) -> None:
    member = await system.join()
    again = Register(email=member.email.upper(), password=PASSWORD, display_name="Other")
    with pytest.raises(EmailTaken):
        await system.run("register", again)
    reply = await system.run("login", Login(email=member.email.upper(), password=PASSWORD))
    assert reply["user"]["id"] == str(member.user_id)


async def test_one_of_many_concurrent_registrations_of_an_address_wins(
    system: AuthTestSystem, pool: Pool
) -> None:
    command = Register(email="rush@example.org", password=PASSWORD, display_name="Rush")
    results = await asyncio.gather(
        *(system.run("register", command) for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(result, dict) for result in results) == 1
    assert sum(isinstance(result, EmailTaken) for result in results) == 19
    assert await pool.fetchval("SELECT count(*) FROM users WHERE email = 'rush@example.org'") == 1


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"email": "nowhere"}, InvalidInput),
        ({"email": "a\0b@example.org"}, InvalidInput),
        ({"display_name": "a\0b"}, InvalidInput),
        ({"display_name": "   "}, InvalidInput),
        ({"password": "password123"}, PasswordTooCommon),
        ({"password": "new.one@example.org"}, PasswordTooCommon),
    ],
)
async def test_bad_registration_is_refused_and_writes_nothing(
    system: AuthTestSystem, pool: Pool, change: dict[str, str], refusal: type[Refusal]
) -> None:
    fields = {"email": "new.one@example.org", "password": PASSWORD, "display_name": "New", **change}
    before = await count_rows(pool)
    with pytest.raises(refusal):
        await system.run("register", Register(**fields))
    assert await count_rows(pool) == before


async def test_sign_in_starts_another_session_and_tells_the_user(system: AuthTestSystem) -> None:
    member = await system.join()
    second = await login(system, member, Caller(remote_ip="192.0.2.7"))
    assert second.user_id == member.user_id
    assert second.session_id != member.session_id
    started = events_for(system, member.user_id)
    assert [event["type"] for event in started] == ["session_started", "session_started"]
    assert started[1]["session_id"] == str(second.session_id)
    assert started[1]["remote_ip"] == "192.0.2.7"


async def test_wrong_password_and_unknown_address_get_one_answer_for_the_same_work(
    system: AuthTestSystem, pool: Pool
) -> None:
    member = await system.join()
    before = await count_rows(pool)
    answers = []
    for email in (member.email, "nobody.at.all@example.org"):
        checks = system.tools.hasher.checks
        with pytest.raises(BadCredentials) as refused:
            await system.run("login", Login(email=email, password="not my password"))
        assert system.tools.hasher.checks == checks + 1
        answers.append((refused.value.code, refused.value.detail, refused.value.facts))
    assert answers[0] == answers[1]
    assert await count_rows(pool) == before


async def test_passwords_are_hashed_while_no_connection_is_held(system: AuthTestSystem) -> None:
    """Every thread and forty places of the hasher are busy, and yet the pool of twelve has connections free."""
    members = [await system.join() for _ in range(40)]
    release = threading.Event()
    blocked = [system.tools.hasher._pool.submit(release.wait) for _ in range(2)]
    work = asyncio.gather(*(login(system, member) for member in members))
    try:
        while system.tools.hasher._taken < len(members):
            await asyncio.sleep(0.001)
        pool = system.database.pool
        async with asyncio.timeout(2):  # the session watch borrows a connection for a moment now and then
            while pool.get_idle_size() != pool.get_size():
                await asyncio.sleep(0.001)
        await asyncio.wait_for(system.run("get_me", GetMe(), members[0].caller), 1)
        assert not work.done()
    finally:
        release.set()
    assert len(await work) == 40
    assert all(future.done() for future in blocked)


async def test_guessing_is_limited_per_account_whether_it_exists_or_not(system: AuthTestSystem) -> None:
    member = await system.join()
    for email in (member.email, "ghost@example.org"):
        guesses = [
            system.run("login", Login(email=email, password=f"guess {number}"))
            for number in range(PAIR_ATTEMPTS_MAX + 15)
        ]
        results = await asyncio.gather(*guesses, return_exceptions=True)
        assert sum(isinstance(result, BadCredentials) for result in results) == PAIR_ATTEMPTS_MAX
        limited = [result for result in results if isinstance(result, RateLimited)]
        assert len(limited) == 15
        assert all(0 < result.facts["retry_after_s"] <= 900 for result in limited)
    with pytest.raises(RateLimited):
        await login(system, member)
    assert await system.run("get_me", GetMe(), member.caller)


async def test_right_passwords_are_not_counted(system: AuthTestSystem) -> None:
    member = await system.join()
    for _ in range(PAIR_ATTEMPTS_MAX + 5):
        await login(system, member, Caller(remote_ip="192.0.2.99"))
    assert int(await system.redis.get("auth:attempts:ip:192.0.2.99")) == 0
    assert 0 < await system.redis.ttl("auth:attempts:ip:192.0.2.99") <= 900


async def test_guessing_many_accounts_is_limited_per_address_of_origin(system: AuthTestSystem) -> None:
    here = Caller(remote_ip="198.51.100.1")
    guesses = [
        system.run("login", Login(email=f"spray{number}@example.org", password="autumn leaves"), here)
        for number in range(IP_ATTEMPTS_MAX + 5)
    ]
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(isinstance(result, RateLimited) for result in results) == 5
    member = await system.join()
    await login(system, member, Caller(remote_ip="198.51.100.2"))


async def test_guessing_from_many_addresses_of_one_ipv6_network_is_limited(system: AuthTestSystem) -> None:
    guesses = [
        system.run(
            "login",
            Login(email=f"spray{number}@example.net", password="autumn leaves"),
            Caller(remote_ip=f"2001:db8:5:6::{number:x}"),
        )
        for number in range(IP_ATTEMPTS_MAX + 5)
    ]
    results = await asyncio.gather(*guesses, return_exceptions=True)
    assert sum(isinstance(result, RateLimited) for result in results) == 5
    assert int(await system.redis.get("auth:attempts:ip:2001:db8:5::/48")) == IP_ATTEMPTS_MAX
    member = await system.join()
    await login(system, member, Caller(remote_ip="2001:db8:5:7::1"))


async def test_sign_in_works_without_redis(system: AuthTestSystem) -> None:
    member = await system.join()
    nowhere = open_redis("unix:///nonexistent/redis.sock")
    pipeline = Pipeline(
        system.database,
        nowhere,
        "test",
        lambda _: None,
        ROUTES,
        {AuthTools: system.tools, Vault: system.vault},
    )
    answer = await pipeline.run(ROUTE["login"], Login(email=member.email, password=PASSWORD), ANONYMOUS)
    assert answer.status == 200
    with pytest.raises(BadCredentials):
        await pipeline.run(ROUTE["login"], Login(email=member.email, password="wrong wrong"), ANONYMOUS)
    await nowhere.aclose()


async def test_full_hasher_gives_the_attempt_back(
    system: AuthTestSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = await system.join()
    monkeypatch.setattr(system.tools.hasher, "_taken", system.tools.hasher._places)
    for _ in range(PAIR_ATTEMPTS_MAX + 1):
        with pytest.raises(TemporarilyUnavailable):
            await login(system, member)
    monkeypatch.setattr(system.tools.hasher, "_taken", 0)
    await login(system, member)


async def test_password_changed_during_the_check_does_not_sign_in(system: AuthTestSystem, pool: Pool) -> None:
    member = await system.join()
    preparation = system.pipeline._preparation()
    prepared = await ROUTE["login"].prepare(
        Login(email=member.email, password=PASSWORD), ANONYMOUS, preparation
    )
    await pool.execute("UPDATE users SET password_hash = 'other' WHERE user_id = $1", member.user_id)
    with pytest.raises(BadCredentials):
        await system.pipeline.run(replace(ROUTE["login"], prepare=None), prepared, ANONYMOUS)


async def test_sessions_are_listed_with_the_current_one_marked(system: AuthTestSystem) -> None:
    member = await system.join()
    second = await login(system, member, Caller(remote_ip="2001:db8::1"))
    listed = await system.run("list_sessions", ListSessions(), member.caller)
    assert listed["next_cursor"] is None
    assert {(item["id"], item["current"], item["remote_ip"]) for item in listed["items"]} == {
        (str(member.session_id), True, ""),
        (str(second.session_id), False, "2001:db8::1"),
    }


async def test_another_session_of_mine_can_be_ended_and_nobody_elses(system: AuthTestSystem) -> None:
    member, stranger = await system.join(), await system.join()
    second = await login(system, member)
    with pytest.raises(SessionNotFound):
        await system.run("end_session", EndSession(session_id=second.session_id), stranger.caller)
    await system.verifier.verify_access_token(second.access_token)
    await system.run("end_session", EndSession(session_id=second.session_id), member.caller)
    with pytest.raises(SessionNotFound):
        await system.run("end_session", EndSession(session_id=second.session_id), member.caller)
    listed = await system.run("list_sessions", ListSessions(), member.caller)
    assert [item["id"] for item in listed["items"]] == [str(member.session_id)]
    last = events_for(system, member.user_id)[-1]
    assert (last["type"], last["session_id"], last["reason"]) == (
        "session_ended",
        str(second.session_id),
        "ended_elsewhere",
    )


async def test_logout_is_idempotent_and_told_once(system: AuthTestSystem) -> None:
    member = await system.join()
    for _ in range(3):
        assert await system.run("logout", Logout(), member.caller) == {"session_id": str(member.session_id)}
    assert [event["type"] for event in events_for(system, member.user_id)].count("session_ended") == 1


async def test_sign_in_beyond_the_most_sessions_ends_the_one_used_longest_ago(
    system: AuthTestSystem, pool: Pool
) -> None:
    member = await system.join()
    await pool.execute(
        "INSERT INTO sessions (session_id, user_id, rotated_at_ms, created_at_ms, expires_at_ms)"
        " SELECT gen_random_uuid(), $1, rotated_at_ms + n, created_at_ms, expires_at_ms"
        " FROM sessions, generate_series(1, $2::int) AS n WHERE session_id = $3",
        member.user_id,
        SESSIONS_MAX - 1,
        member.session_id,
    )
    await asyncio.sleep(SESSIONS_MAX / 1000)
    newest = await login(system, member)
    listed = await system.run("list_sessions", ListSessions(), newest.caller)
    assert len(listed["items"]) == SESSIONS_MAX
    assert str(member.session_id) not in {item["id"] for item in listed["items"]}
    await system.watch.refresh()
    with pytest.raises(SessionOver):
        await system.verifier.verify_access_token(member.access_token)


async def test_new_roles_come_with_the_next_refresh_and_old_tokens_are_refused(
    system: AuthTestSystem,
) -> None:
    member = await system.join()
    command = SetRoles(user_id=member.user_id, roles=["support"])
    reply = await system.run("set_roles", command, admin())
    assert reply["roles"] == ["support", "user"]
    await system.watch.refresh()
    with pytest.raises(TokenExpired):
        await system.verifier.verify_access_token(member.access_token)
    refreshed = await system.run("refresh", Refresh(refresh_token=member.refresh_token))
    verified = await system.verifier.verify_access_token(refreshed["tokens"]["access_token"])
    assert verified.caller.roles == {"user", "support"}
    assert events_for(system, member.user_id)[-1]["type"] == "access_changed"


async def test_banned_account_is_out_everywhere_until_the_ban_is_lifted(system: AuthTestSystem) -> None:
    member = await system.join()
    second = await login(system, member)
    await system.run("ban_user", BanUser(user_id=member.user_id, reason="fraud\0"), admin())
    await system.watch.refresh()
    for each in (member, second):
        with pytest.raises(SessionOver):
            await system.verifier.verify_access_token(each.access_token)
        with pytest.raises(SessionOver):
            await system.run("refresh", Refresh(refresh_token=each.refresh_token))
    with pytest.raises(AccountBanned):
        await login(system, member)
    with pytest.raises(BadCredentials):
        await system.run("login", Login(email=member.email, password="wrong wrong"))
    reasons = [event.get("reason") for event in events_for(system, member.user_id)]
    assert reasons.count("banned") == 2
    await system.run("unban_user", UnbanUser(user_id=member.user_id), admin())
    await login(system, member)
    with pytest.raises(SessionOver):
        await system.run("refresh", Refresh(refresh_token=member.refresh_token))


async def test_ban_during_many_sign_ins_leaves_no_live_session(system: AuthTestSystem, pool: Pool) -> None:
    for _ in range(5):
        member = await system.join()
        work = asyncio.gather(*(login(system, member) for _ in range(8)), return_exceptions=True)
        await asyncio.sleep(0.005)
        await system.run("ban_user", BanUser(user_id=member.user_id), admin())
        await work
        live = await pool.fetchval(
            "SELECT count(*) FROM sessions WHERE user_id = $1 AND ended_at_ms IS NULL", member.user_id
        )
        assert live == 0


@pytest.mark.parametrize(
    ("verb", "command"),
    [
        ("set_roles", lambda user: SetRoles(user_id=user, roles=["admin"])),
        ("ban_user", lambda user: BanUser(user_id=user)),
        ("unban_user", lambda user: UnbanUser(user_id=user)),
    ],
)
async def test_administration_needs_an_administrator(system: AuthTestSystem, verb: str, command: Any) -> None:
    member = await system.join()
    with pytest.raises(Unauthenticated):
        await system.run(verb, command(member.user_id))
    for roles in (set(), {"user"}, {"user", "support"}):
        with pytest.raises(NotAllowed):
            await system.run(verb, command(member.user_id), Caller(new_id(), new_id(), frozenset(roles)))
    with pytest.raises(UserNotFound):
        await system.run(verb, command(new_id()), admin())


async def test_administrator_cannot_lock_themselves_out(system: AuthTestSystem) -> None:
    me = admin()
    with pytest.raises(NotAllowed):
        await system.run("set_roles", SetRoles(user_id=me.id, roles=[]), me)
    with pytest.raises(NotAllowed):
        await system.run("ban_user", BanUser(user_id=me.id), me)


@pytest.mark.parametrize(
    "verb", [route.verb for route in ROUTES if route.permission is not Permission.ANYONE]
)
def test_routes_for_the_signed_in_refuse_the_anonymous(verb: str) -> None:
    with pytest.raises(Unauthenticated):
        check_permission(ROUTE[verb], ANONYMOUS)


async def test_me_of_a_deleted_user_is_not_found(system: AuthTestSystem) -> None:
    with pytest.raises(UserNotFound):
        await system.run("get_me", GetMe(), Caller(new_id(), new_id()))


async def test_a_password_is_one_however_its_accents_are_sent(system: AuthTestSystem) -> None:
    composed, apart = "caf\u00e9 noir lantern", "cafe\u0301 noir lantern"
    await system.run("register", Register(email="accent@example.org", password=apart, display_name="A"))
    for sent in (composed, apart):
        await system.run("login", Login(email="accent@example.org", password=sent))
    with pytest.raises(BadCredentials):
        await system.run("login", Login(email="accent@example.org", password="cafe noir lantern"))


async def test_a_hash_from_before_normalisation_fits_and_is_replaced(
    system: AuthTestSystem, pool: Pool
) -> None:
    composed, apart = "caf\u00e9 noir lantern", "cafe\u0301 noir lantern"
    await system.run("register", Register(email="old@example.org", password=composed, display_name="A"))
    old = await system.tools.hasher.hash(apart)
    await pool.execute("UPDATE users SET password_hash = $1 WHERE email = 'old@example.org'", old)
    for sent in (apart, composed, apart):
        await system.run("login", Login(email="old@example.org", password=sent))
    assert await pool.fetchval("SELECT password_hash FROM users WHERE email = 'old@example.org'") != old


async def test_a_password_of_two_spellings_costs_the_same_for_known_and_unknown(
    system: AuthTestSystem,
) -> None:
    await system.run("register", Register(email="known@example.org", password=PASSWORD, display_name="A"))
    spent = []
    for email in ("known@example.org", "unknown@example.org"):
        before = system.tools.hasher.checks
        with pytest.raises(BadCredentials):
            await system.run("login", Login(email=email, password="wrong cafe\u0301"))
        spent.append(system.tools.hasher.checks - before)
    assert spent == [2, 2]
