"""Scope tokens: they lend what their issuer may follow at this moment, and serve for nothing else."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import jwt
import pytest
import pytest_asyncio

from handlers.auth.revocations import RevocationWatch
from handlers.auth.rules import SCOPE_TOKENS_MAX
from handlers.auth.scope_tokens import ScopeVerifier
from handlers.contract import ANONYMOUS, Caller
from protocols.auth.commands import (
    CreateScopeToken,
    ListScopeTokens,
    Login,
    Logout,
    NotShareable,
    RevokeScopeToken,
    ScopeTokenNotFound,
    ScopeTokenOver,
    SessionOver,
    SetRoles,
    TokenExpired,
    TokenInvalid,
)
from protocols.errors import NotAllowed, TemporarilyUnavailable, Unauthenticated, UnknownChannel
from protocols.values import new_id, now_instant
from realtime.ports import ChannelRule, Lane
from server.channels.delegations import DelegatedPermissions
from storage.auth.scope_tokens_postgres import delete_old_scope_tokens
from storage.engines.postgres import open_database
from tests.support.auth_system import ISSUER, KINDS, PASSWORD, AuthTestSystem, Member

ORDER = f"orders:{new_id()}"
AUCTION = f"auctions:{new_id()}"


class OwnOrders:
    """Channel rules that let one user follow orders, everybody auctions; what a rule allows besides is everything."""

    kinds = KINDS

    def __init__(self, owner: Caller) -> None:
        self.owner = owner

    async def authorize(self, caller: Caller, channel: str) -> ChannelRule:
        if channel.startswith("orders:") and caller.user_id != self.owner.user_id:
            raise NotAllowed
        if not channel.startswith(("orders:", "auctions:", "personal:#")):
            raise UnknownChannel
        return ChannelRule(Lane.REPLAYED, publish=True, presence=True, join_leave=True, delta=True)


@pytest.fixture
def scopes(system: AuthTestSystem) -> ScopeVerifier:
    return ScopeVerifier(system.tools.keys, ISSUER, system.watch, system.database, 900)


@pytest_asyncio.fixture(loop_scope="module")
async def amina(system: AuthTestSystem) -> Member:
    return await system.join()


async def lend(system: AuthTestSystem, member: Member, *channels: str, ttl_s: int = 600) -> str:
    command = CreateScopeToken(channels=list(channels), ttl_s=ttl_s)
    return str((await system.run("create_scope_token", command, member.caller))["token"])


async def made(system: AuthTestSystem, member: Member, label: str = "") -> dict[str, Any]:
    return await system.run(
        "create_scope_token", CreateScopeToken(channels=[AUCTION], label=label), member.caller
    )


async def revoke(system: AuthTestSystem, member: Member, token_id: str) -> None:
    await system.run("revoke_scope_token", RevokeScopeToken(token_id=UUID(token_id)), member.caller)


def forge(system: AuthTestSystem, token: str, typ: str = "scope+jwt", **changes: Any) -> str:
    """Sign with the real key a token that differs from a good one in some claims (None: left out)."""
    claims = {**jwt.decode(token, options={"verify_signature": False}), **changes}
    key = system.tools.keys.signer
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key.private, algorithm="EdDSA", headers={"kid": key.kid, "typ": typ})


class TestSight:
    async def test_holder_sees_what_the_issuer_may_see_and_does_nothing_else(self, system, scopes, amina):
        rules = DelegatedPermissions(OwnOrders(amina.caller), scopes)
        token = await lend(system, amina, ORDER)
        with pytest.raises(NotAllowed):
            await rules.authorize(ANONYMOUS, ORDER)
        rule = await rules.authorize(ANONYMOUS, ORDER, token)
        assert (rule.lane, rule.delta) == (Lane.REPLAYED, True)
        assert [rule.publish, rule.presence, rule.join_leave] == [False] * 3
        assert rule.remembered
        assert rule.expires_at_s == pytest.approx(time.time() + 600, abs=2)
        assert rule.delegation is not None
        assert (rule.delegation.user, rule.delegation.session) == (str(amina.user_id), str(amina.session_id))
        rule.delegation.confirm()

    async def test_issuer_who_may_not_follow_lends_nothing(self, system, scopes, amina):
        stranger = await system.join()
        rules = DelegatedPermissions(OwnOrders(amina.caller), scopes)
        token = await lend(system, stranger, ORDER)
        with pytest.raises(NotAllowed):
            await rules.authorize(ANONYMOUS, ORDER, token)
        with pytest.raises(NotAllowed):  # nor does the owner see it by a token of somebody who does not
            await rules.authorize(amina.caller, ORDER, token)

    async def test_issuer_who_lost_the_right_lends_nothing_any_more(self, system, scopes, amina):
        orders = OwnOrders(amina.caller)
        rules = DelegatedPermissions(orders, scopes)
        token = await lend(system, amina, ORDER)
        assert await rules.authorize(ANONYMOUS, ORDER, token)
        orders.owner = Caller(new_id())
        with pytest.raises(NotAllowed):
            await rules.authorize(ANONYMOUS, ORDER, token)

    async def test_names_and_kinds_are_kept_to(self, system, scopes, amina):
        scope = await scopes.verify_scope_token(await lend(system, amina, ORDER, "auctions:*"))
        for channel in (ORDER, AUCTION, f"auctions:{new_id()}"):
            scope.check(channel, KINDS)
        for channel in (f"orders:{new_id()}", f"ticker:{new_id()}", "auctions", "auctions:", "", "nope:1"):
            with pytest.raises(NotAllowed):
                scope.check(channel, KINDS)

    @pytest.mark.parametrize(
        "channel", [f"personal:#{UUID(int=7)}", "personal:*", "cells:*", "stock:*", "nope:1"]
    )
    async def test_personal_and_other_channels_cannot_be_shared(self, system, amina, channel):
        with pytest.raises(NotShareable, match="cannot be shared"):
            await lend(system, amina, AUCTION, channel)

    async def test_personal_channel_stays_closed_though_a_token_of_ours_names_it(self, system, scopes, amina):
        mine = f"personal:#{amina.user_id}"
        token = forge(system, await lend(system, amina, AUCTION), channels=[mine, "personal:*"])
        rules = DelegatedPermissions(OwnOrders(amina.caller), scopes)
        with pytest.raises(NotAllowed):
            await rules.authorize(ANONYMOUS, mine, token)

    async def test_nobody_without_an_account_lends(self, system):
        with pytest.raises(Unauthenticated):
            await system.run("create_scope_token", CreateScopeToken(channels=[AUCTION]), ANONYMOUS)


class TestPurpose:
    async def test_neither_kind_of_token_serves_as_the_other(self, system, scopes, amina):
        token = await lend(system, amina, AUCTION)
        with pytest.raises(TokenInvalid):
            await system.verifier.verify_access_token(token)
        with pytest.raises(TokenInvalid):
            await scopes.verify_scope_token(amina.access_token)
        # Neither the type nor the audience alone makes the difference.
        with pytest.raises(TokenInvalid):
            await system.verifier.verify_access_token(forge(system, token, typ="at+jwt"))
        with pytest.raises(TokenInvalid):
            await system.verifier.verify_access_token(forge(system, token, aud="mnbara"))
        with pytest.raises(TokenInvalid):
            await scopes.verify_scope_token(forge(system, token, typ="at+jwt"))
        with pytest.raises(TokenInvalid):
            await scopes.verify_scope_token(forge(system, token, aud="mnbara"))

    @pytest.mark.parametrize(
        "changes",
        [
            {"channels": None},
            {"channels": 7},
            {"iss": "https://evil.example"},
            {"exp": None},
            {"sid": "not an id"},
            {"jti": "not an id"},
            {"ver": "x"},
            {"roles": None},
        ],
    )
    async def test_token_with_a_wrong_claim_is_invalid(self, system, scopes, amina, changes):
        token = await lend(system, amina, AUCTION)
        with pytest.raises(TokenInvalid):
            await scopes.verify_scope_token(forge(system, token, **changes))

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "é" * 100, "x" * 5000])
    async def test_garbage_is_invalid(self, scopes, token):
        with pytest.raises(TokenInvalid):
            await scopes.verify_scope_token(token)


class TestEnd:
    async def test_token_expires_when_it_says(self, system, scopes, amina):
        token = await lend(system, amina, AUCTION, ttl_s=1)
        scope = await scopes.verify_scope_token(token)
        await asyncio.sleep(1.1)
        with pytest.raises(TokenExpired):
            await scopes.verify_scope_token(token)
        with pytest.raises(TokenExpired):
            scopes.confirm(scope)

    async def test_token_never_outlives_its_issuers_session(self, system, pool, scopes):
        member = await system.join()
        ends_at_ms = now_instant() + 5_000
        await pool.execute(
            "UPDATE sessions SET expires_at_ms = $1 WHERE session_id = $2", ends_at_ms, member.session_id
        )
        scope = await scopes.verify_scope_token(await lend(system, member, AUCTION, ttl_s=86_400))
        assert scope.expires_at_s == ends_at_ms // 1000

    async def test_end_of_the_issuers_session_ends_it(self, system, scopes):
        member = await system.join()
        token = await lend(system, member, AUCTION)
        scope = await scopes.verify_scope_token(token)
        await system.run("logout", Logout(), member.caller)
        await system.watch.refresh()
        with pytest.raises(SessionOver):
            await scopes.verify_scope_token(token)
        with pytest.raises(SessionOver):
            scopes.confirm(scope)
        with pytest.raises(SessionOver):
            await lend(system, member, AUCTION)

    async def test_end_that_the_watch_has_forgotten_is_found_in_the_database(self, system, scopes):
        member = await system.join()
        token = await lend(system, member, AUCTION)
        await system.run("logout", Logout(), member.caller)
        await system.watch.refresh()
        system.watch._prune(now_instant() + 1)
        assert not system.watch.has_ended(member.session_id)
        with pytest.raises(SessionOver):
            await scopes.verify_scope_token(token)

    async def test_session_seen_long_ago_is_looked_up_again(self, system):
        member = await system.join()
        hasty = ScopeVerifier(system.tools.keys, ISSUER, system.watch, system.database, 0)
        token = await lend(system, member, AUCTION)
        assert await hasty.verify_scope_token(token)
        await system.run("logout", Logout(), member.caller)
        await system.watch.refresh()
        system.watch._prune(now_instant() + 1)
        with pytest.raises(SessionOver):
            await hasty.verify_scope_token(token)

    async def test_change_of_roles_ends_it_and_a_new_one_has_the_new_roles(self, system, scopes):
        member, admin = await system.join(), await system.join()
        token = await lend(system, member, AUCTION)
        await system.run("set_roles", SetRoles(user_id=member.user_id, roles=["support"]), admin_of(admin))
        with pytest.raises(TokenExpired):  # found in the database, before the watch looks
            await scopes.verify_scope_token(token)
        await system.watch.refresh()
        with pytest.raises(TokenExpired):
            await scopes.verify_scope_token(token)
        assert member.caller.roles == {"user"}
        fresh = await scopes.verify_scope_token(await lend(system, member, AUCTION))
        assert fresh.caller.roles == {"user", "support"}

    async def test_roles_that_were_lost_are_not_lent_by_a_caller_whose_token_still_has_them(
        self, system, scopes, amina
    ):
        claimed = replace(amina, caller=replace(amina.caller, roles=frozenset({"user", "admin"})))
        scope = await scopes.verify_scope_token(await lend(system, claimed, AUCTION))
        assert scope.caller.roles == {"user"}


class TestTakenBack:
    async def test_one_token_goes_and_the_others_stay(self, system, scopes, amina):
        kept, gone = [await made(system, amina, label=label) for label in ("family", "press")]
        scope = await scopes.verify_scope_token(gone["token"])
        await revoke(system, amina, gone["id"])
        await system.watch.refresh()
        with pytest.raises(ScopeTokenOver):
            await scopes.verify_scope_token(gone["token"])
        with pytest.raises(ScopeTokenOver):
            scopes.confirm(scope)
        assert await scopes.verify_scope_token(kept["token"])
        events = [json.loads(data) for name, data in system.published if name.endswith(str(amina.user_id))]
        told = [(e["type"], e["token_id"]) for e in events if e["type"].startswith("scope")][-3:]
        assert told == [
            ("scope_token_created", kept["id"]),
            ("scope_token_created", gone["id"]),
            ("scope_token_revoked", gone["id"]),
        ]
        assert kept["token"] not in str(system.published)

    async def test_end_that_the_watch_does_not_know_is_found_in_the_database(self, system, scopes, amina):
        token = await made(system, amina)
        await revoke(system, amina, token["id"])
        with pytest.raises(ScopeTokenOver):  # before the watch looks
            await scopes.verify_scope_token(token["token"])
        await system.watch.refresh()
        system.watch._prune(now_instant() + 1)
        assert not system.watch.has_token_ended(UUID(token["id"]))
        with pytest.raises(ScopeTokenOver):
            await scopes.verify_scope_token(token["token"])

    async def test_only_its_maker_takes_it_back_from_any_session_and_once(self, system):
        member, stranger = await system.join(), await system.join()
        token = await made(system, member)
        with pytest.raises(ScopeTokenNotFound):
            await revoke(system, stranger, token["id"])
        with pytest.raises(ScopeTokenNotFound):
            await revoke(system, member, str(new_id()))
        reply = await system.run("login", Login(email=member.email, password=PASSWORD))
        elsewhere = await system.member(member.email, reply)
        await revoke(system, elsewhere, token["id"])
        with pytest.raises(ScopeTokenNotFound):
            await revoke(system, member, token["id"])

    async def test_the_list_has_what_is_good_alone(self, system, pool):
        member = await system.join()
        tokens = [await made(system, member, label=str(n)) for n in range(4)]
        await revoke(system, member, tokens[0]["id"])
        await pool.execute(
            "UPDATE scope_tokens SET expires_at_ms = 1 WHERE token_id = $1", UUID(tokens[1]["id"])
        )
        reply = await system.run("list_scope_tokens", ListScopeTokens(), member.caller)
        assert [(one["label"], one["channels"]) for one in reply["items"]] == [
            ("3", [AUCTION]),
            ("2", [AUCTION]),
        ]
        assert "token" not in reply["items"][0]
        await system.run("logout", Logout(), member.caller)
        assert (await system.run("list_scope_tokens", ListScopeTokens(), member.caller))["items"] == []

    async def test_an_account_has_a_hundred_at_most_however_many_ask_at_once(self, system, pool):
        member = await system.join()
        await pool.execute(
            "INSERT INTO scope_tokens (token_id, user_id, session_id, access_version, label, channels,"
            " created_at_ms, expires_at_ms) SELECT gen_random_uuid(), $1, $2, 1, '', '{auctions:*}', 0, $3"
            " FROM generate_series(1, $4)",
            member.user_id,
            member.session_id,
            now_instant() + 60_000,
            SCOPE_TOKENS_MAX - 1,
        )
        results = await asyncio.gather(*(made(system, member) for _ in range(5)), return_exceptions=True)
        assert sorted(type(one).__name__ for one in results) == ["TooManyScopeTokens"] * 4 + ["dict"]

    async def test_old_ones_are_forgotten(self, system, pool, amina):
        token = UUID((await made(system, amina))["id"])
        await delete_old_scope_tokens(pool, now_instant(), 10)
        find = "SELECT count(*) FROM scope_tokens WHERE token_id = $1"
        assert await pool.fetchval(find, token) == 1
        await pool.execute("UPDATE scope_tokens SET expires_at_ms = 1 WHERE token_id = $1", token)
        await delete_old_scope_tokens(pool, now_instant(), 1_000)
        assert await pool.fetchval(find, token) == 0


class TestCost:
    async def test_a_crowd_with_one_token_costs_one_look(self, system, amina, database):
        async with counted(database) as (counting, looks):
            verifier = ScopeVerifier(system.tools.keys, ISSUER, system.watch, counting, 900)
            token = await lend(system, amina, AUCTION)
            found = await asyncio.gather(*(verifier.verify_scope_token(token) for _ in range(500)))
            assert len(found) == 500
            await verifier.verify_scope_token(token)
            assert looks() == 1

    async def test_without_a_database_nobody_new_is_believed(self, system, amina, database):
        lost = await open_database(database)
        watch = RevocationWatch(lost, 900)
        await watch.refresh()
        verifier = ScopeVerifier(system.tools.keys, ISSUER, watch, lost, 900)
        known, unknown = await lend(system, amina, AUCTION), await lend(system, await system.join(), AUCTION)
        assert await verifier.verify_scope_token(known)
        await lost.close()
        watch._looked_at = time.monotonic()
        assert await verifier.verify_scope_token(known)
        with pytest.raises(TemporarilyUnavailable):
            await verifier.verify_scope_token(unknown)


def admin_of(member: Member) -> Caller:
    return replace(member.caller, roles=frozenset({"user", "admin"}))


@contextlib.asynccontextmanager
async def counted(database: str) -> AsyncIterator[tuple[Any, Any]]:
    """A database and how often somebody took a connection of it."""
    opened = await open_database(database)
    count = 0
    take = opened.connection

    def connection() -> Any:
        nonlocal count
        count += 1
        return take()

    opened.connection = connection  # type: ignore[method-assign]
    yield opened, lambda: count
    await opened.close()
