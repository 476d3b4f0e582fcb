"""Counter refresh tokens through the pipeline: rotation, grace, reuse, races, crashes."""

import asyncio
import base64
import contextlib
from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from handlers.auth.tokens import RefreshTokens
from handlers.contract import Caller, Outcome, Stores
from protocols.auth.commands import (
    Login,
    Logout,
    Refresh,
    RefreshReused,
    SessionOver,
    TokenExpired,
    TokenInvalid,
)
from protocols.errors import Refusal, TemporarilyUnavailable
from storage.auth.sessions_postgres import delete_old_sessions
from tests.support.auth_system import PASSWORD, ROUTE, AuthTestSystem, Member

Pool = Any


async def refresh(system: AuthTestSystem, token: str) -> str:
    reply = await system.run("refresh", Refresh(refresh_token=token))
    tokens = reply["tokens"]
    await system.verifier.verify_access_token(tokens["access_token"])
    return str(tokens["refresh_token"])


async def grow_old(pool: Pool, member: Member, by_ms: int = 11_000) -> None:
    """Move the last rotation into the past."""
    await pool.execute(
        "UPDATE sessions SET rotated_at_ms = rotated_at_ms - $2 WHERE session_id = $1",
        member.session_id,
        by_ms,
    )


async def read_session(pool: Pool, member: Member) -> Any:
    return await pool.fetchrow("SELECT * FROM sessions WHERE session_id = $1", member.session_id)


async def test_current_token_rotates(system: AuthTestSystem, pool: Pool) -> None:
    member = await system.join()
    token = member.refresh_token
    seen = {token}
    for counter in range(1, 6):
        token = await refresh(system, token)
        assert token not in seen
        seen.add(token)
        assert (await read_session(pool, member))["counter"] == counter


async def test_token_one_behind_gets_the_current_one_however_late(system: AuthTestSystem, pool: Pool) -> None:
    member = await system.join()
    current = await refresh(system, member.refresh_token)
    await grow_old(pool, member, 30 * 24 * 3_600_000)
    assert await refresh(system, member.refresh_token) == current
    assert (await read_session(pool, member))["counter"] == 1


async def test_older_token_within_ten_seconds_gets_the_current_one(
    system: AuthTestSystem, pool: Pool
) -> None:
    member = await system.join()
    token = member.refresh_token
    for _ in range(4):
        token = await refresh(system, token)
    assert await refresh(system, member.refresh_token) == token
    await grow_old(pool, member, 5_000)
    assert await refresh(system, member.refresh_token) == token


async def test_reuse_is_refused_and_its_end_of_the_session_is_committed(
    system: AuthTestSystem, pool: Pool
) -> None:
    member = await system.join()
    first = await refresh(system, member.refresh_token)
    second = await refresh(system, first)
    await grow_old(pool, member)
    with pytest.raises(RefreshReused):
        await refresh(system, member.refresh_token)
    ended = await read_session(pool, member)
    assert ended["ended_at_ms"] is not None
    assert ended["ended_because"] == "refresh_reused"
    for token in (second, first, member.refresh_token):
        with pytest.raises(SessionOver):
            await refresh(system, token)
    await system.watch.refresh()
    with pytest.raises(SessionOver):
        await system.verifier.verify_access_token(member.access_token)
    stored = await pool.fetch(
        "SELECT type, data::text FROM events WHERE stream = $1 ORDER BY number", f"personal:#{member.user_id}"
    )
    assert [row["type"] for row in stored] == ["session_started", "session_ended"]
    assert '"reason":"refresh_reused"' in stored[1]["data"]
    assert (f"personal:#{member.user_id}", stored[1]["data"]) in system.published


async def test_reuse_ends_that_session_only(system: AuthTestSystem, pool: Pool) -> None:
    member = await system.join()
    other = (await system.run("login", Login(email=member.email, password=PASSWORD)))["tokens"][
        "refresh_token"
    ]
    await refresh(system, await refresh(system, member.refresh_token))
    await grow_old(pool, member)
    with pytest.raises(RefreshReused):
        await refresh(system, member.refresh_token)
    await refresh(system, other)


async def test_token_with_a_counter_from_the_future_is_invalid_and_harmless(
    system: AuthTestSystem, pool: Pool
) -> None:
    """Only we can sign one: a database restored from an older backup makes it real."""
    member = await system.join()
    with pytest.raises(TokenInvalid):
        await refresh(system, system.tools.sign_refresh_token(member.session_id, 5))
    assert (await read_session(pool, member))["ended_at_ms"] is None
    await refresh(system, member.refresh_token)


async def test_token_of_no_session_is_invalid(system: AuthTestSystem) -> None:
    with pytest.raises(TokenInvalid):
        await refresh(system, system.tools.sign_refresh_token(uuid4(), 0))


async def test_refresh_after_logout_is_refused(system: AuthTestSystem) -> None:
    member = await system.join()
    await system.run("logout", Logout(), member.caller)
    with pytest.raises(SessionOver):
        await refresh(system, member.refresh_token)


async def test_session_ends_after_its_absolute_life_however_much_it_is_used(
    system: AuthTestSystem, pool: Pool
) -> None:
    member = await system.join()
    token = await refresh(system, member.refresh_token)
    await pool.execute(
        "UPDATE sessions SET expires_at_ms = (extract(epoch FROM now()) * 1000)::bigint + 30000"
        " WHERE session_id = $1",
        member.session_id,
    )
    reply = await system.run("refresh", Refresh(refresh_token=token))
    assert reply["tokens"]["expires_in"] <= 30, "an access token does not outlive its session"
    await pool.execute("UPDATE sessions SET expires_at_ms = 1 WHERE session_id = $1", member.session_id)
    with pytest.raises(TokenExpired):
        await refresh(system, reply["tokens"]["refresh_token"])


def _flip(token: str, place: int) -> str:
    return token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]


async def test_every_changed_letter_makes_a_refresh_token_invalid(system: AuthTestSystem, pool: Pool) -> None:
    member = await system.join()
    for place in range(len(member.refresh_token)):
        with pytest.raises(TokenInvalid):
            await refresh(system, _flip(member.refresh_token, place))
    assert (await read_session(pool, member))["counter"] == 0


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "é",
        "\0",
        "=" * 10,
        "A" * 512,
        base64.urlsafe_b64encode(bytes(57)).decode(),
        "ab\ud800",
        "a b",
        "-" * 76,
    ],
)
async def test_what_is_no_refresh_token_is_invalid(system: AuthTestSystem, token: str) -> None:
    with pytest.raises(TokenInvalid):
        await refresh(system, token)


async def test_padding_or_spaces_around_a_refresh_token_make_it_invalid(system: AuthTestSystem) -> None:
    member = await system.join()
    for token in (member.refresh_token + "=", member.refresh_token + "\n", " " + member.refresh_token):
        with pytest.raises(TokenInvalid):
            await refresh(system, token)


def test_refresh_tokens_of_a_former_key_are_still_read_and_a_strangers_are_not() -> None:
    old, new, strange = b"o" * 32, b"n" * 32, b"s" * 32
    session_id = uuid4()
    token = RefreshTokens([old]).sign(session_id, 3)
    assert RefreshTokens([new, old]).read(token) == (session_id, 3)
    assert RefreshTokens([new, old]).sign(session_id, 3) != token
    with pytest.raises(TokenInvalid):
        RefreshTokens([new, strange]).read(token)


async def persist(system: AuthTestSystem, token: str) -> str:
    """Refresh as a client does: a temporary refusal is tried again with the same token."""
    for _ in range(100):
        with contextlib.suppress(TemporarilyUnavailable):
            return await refresh(system, token)
        await asyncio.sleep(0.02)
    raise AssertionError("never answered")


async def test_a_thousand_concurrent_refreshes_have_one_head_and_revoke_nothing(
    system: AuthTestSystem, pool: Pool
) -> None:
    member = await system.join()
    heads = Counter(await asyncio.gather(*(persist(system, member.refresh_token) for _ in range(1000))))
    assert len(heads) == 1
    session = await read_session(pool, member)
    assert (session["counter"], session["ended_at_ms"]) == (1, None)
    assert await refresh(system, next(iter(heads))) not in heads


async def test_tabs_that_share_one_token_never_lose_their_session(system: AuthTestSystem, pool: Pool) -> None:
    """Each tab saves what it got, in whatever order; the session moves on and stays one."""
    member = await system.join()
    saved = member.refresh_token

    async def tab() -> None:
        nonlocal saved
        for _ in range(25):
            saved = await persist(system, saved)

    await asyncio.gather(*(tab() for _ in range(20)))
    session = await read_session(pool, member)
    assert session["ended_at_ms"] is None
    assert await refresh(system, saved)


async def test_reuse_racing_with_the_honest_client_leaves_nothing_that_works(
    system: AuthTestSystem, pool: Pool
) -> None:
    for _ in range(20):
        member = await system.join()
        head = await refresh(system, await refresh(system, member.refresh_token))
        await grow_old(pool, member)
        thief, honest = await asyncio.gather(
            refresh(system, member.refresh_token), refresh(system, head), return_exceptions=True
        )
        if isinstance(thief, str):
            # The honest client rotated first, which opens the interval anew: both hold the one head.
            assert thief == honest
            continue
        assert isinstance(thief, RefreshReused)
        for token in (head, honest if isinstance(honest, str) else head):
            with pytest.raises(SessionOver):
                await refresh(system, token)


async def test_refresh_killed_before_its_commit_changed_nothing(system: AuthTestSystem, pool: Pool) -> None:
    """The database connection dies after the handler wrote and before the commit: the client's token still works."""
    member = await system.join()

    async def die(command: Refresh, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
        await ROUTE["refresh"].function(command, caller, stores, now_ms)
        backend = await stores.db.fetchval("SELECT pg_backend_pid()")
        await pool.execute("SELECT pg_terminate_backend($1)", backend)
        await stores.db.execute("SELECT 1")
        raise AssertionError("the connection is gone")

    for _ in range(5):
        with pytest.raises(Refusal) as refused:
            await system.pipeline.run(
                replace(ROUTE["refresh"], function=die), Refresh(refresh_token=member.refresh_token), Caller()
            )
        assert refused.value.temporary
    assert (await read_session(pool, member))["counter"] == 0
    assert await refresh(system, member.refresh_token)


async def test_refresh_whose_answer_was_lost_after_the_commit_is_repeated(
    system: AuthTestSystem, pool: Pool
) -> None:
    member = await system.join()
    token = member.refresh_token
    for _ in range(5):
        lost = await refresh(system, token)
        await grow_old(pool, member)
        again = await refresh(system, token)
        assert again == lost
        token = again
    assert (await read_session(pool, member))["ended_at_ms"] is None


async def test_expired_sessions_are_forgotten_and_living_ones_kept(
    system: AuthTestSystem, pool: Pool
) -> None:
    old, living = await system.join(), await system.join()
    await pool.execute("UPDATE sessions SET expires_at_ms = 1000 WHERE session_id = $1", old.session_id)
    await delete_old_sessions(pool, 2000, 10)
    assert await read_session(pool, old) is None
    assert await read_session(pool, living) is not None
    with pytest.raises(TokenInvalid):
        await refresh(system, old.refresh_token)
    await refresh(system, living.refresh_token)
