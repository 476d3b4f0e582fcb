"""The auth domain put together as a server process does it, on real engines, with cheap hashes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from handlers.auth import ROUTES
from handlers.auth.accounts.send_resets import send_resets
from handlers.auth.oauth.tools import OauthTools
from handlers.auth.passwords import PasswordHasher
from handlers.auth.revocations import RevocationWatch
from handlers.auth.tokens import TokenVerifier
from handlers.auth.tools import AuthTools
from handlers.contract import ANONYMOUS, Caller, Stores
from handlers.domain import ChannelKind, ChannelKinds
from protocols.auth.commands import Register
from protocols.notifications.mails import Mail
from protocols.topics import Lane
from protocols.values import new_id, now_instant
from realtime.ports import Entry
from server.commands.pipeline import Pipeline, check_permission
from server.domains import DOMAINS, channels_of
from storage.engines.postgres import Database, open_database
from storage.engines.redis import Redis, open_redis
from storage.notifications.mailing import context_of
from storage.platform.vault import Vault


async def _is_party(_db, _order_id, _caller) -> bool:
    return True


ORDERS = ChannelKind(
    word="orders",
    parameter="order_id",
    lane=Lane.REPLAYED,
    readers="its parties",
    delta=True,
    shareable=True,
    member=_is_party,
)
"""A kind that a membership decides about; the market has none yet."""

KINDS = ChannelKinds([*channels_of(DOMAINS), ORDERS])

ISSUER = "http://127.0.0.1:8080"
PASSWORD = "salt marsh lantern"
ROUTE = {route.verb: route for route in ROUTES}


@dataclass
class Member:
    """A registered user with a session."""

    email: str
    user_id: UUID
    session_id: UUID
    access_token: str
    refresh_token: str
    caller: Caller


@dataclass
class AuthTestSystem:
    """One server process's auth."""

    database: Database
    redis: Redis
    tools: AuthTools
    watch: RevocationWatch
    verifier: TokenVerifier
    pipeline: Pipeline
    vault: Vault
    tools_of: dict[type, Any]
    """What the pipeline lends to handlers."""
    published: list[tuple[str, str]] = field(default_factory=list)
    """Channel and JSON text of every publication."""

    async def run(self, verb: str, command: Any, caller: Caller = ANONYMOUS) -> dict[str, Any]:
        """Run a command as RPC and REST do; return its decoded answer."""
        check_permission(ROUTE[verb], caller)
        answer = await self.pipeline.run(ROUTE[verb], command, caller)
        assert answer.status == ROUTE[verb].status
        return dict(msgspec.json.decode(answer.body) or {})

    async def mails(self, to: str) -> list[Mail]:
        """Return the mails to an address that wait, in their order."""
        async with self.database.connection() as db:
            rows = await db.fetch(
                "SELECT mail_id, closed FROM mails WHERE closed IS NOT NULL ORDER BY mail_id"
            )
        found = [
            msgspec.json.decode(self.vault.decrypt(row["closed"], context_of(row["mail_id"])), type=Mail)
            for row in rows
        ]
        return [mail for mail in found if mail.to == to]

    async def token(self, to: str) -> str:
        """Return the token in the last mail to an address."""
        return (await self.mails(to))[-1].facts["token"]

    async def join(self, name: str = "Amina") -> Member:
        """Register somebody new."""
        email = f"{new_id().hex}@example.org"
        reply = await self.run("register", Register(email=email, password=PASSWORD, display_name=name))
        return await self.member(email, reply)

    async def member(self, email: str, reply: dict[str, Any]) -> Member:
        """Return the member a sign-in made."""
        tokens = reply["tokens"]
        verified = await self.verifier.verify_access_token(tokens["access_token"])
        caller = verified.caller
        return Member(
            email, caller.id, caller.session_id, tokens["access_token"], tokens["refresh_token"], caller
        )

    async def close(self) -> None:
        await self.watch.close()
        await self.pipeline.close()
        self.tools.close()
        await self.database.close()
        await self.redis.aclose()


async def answer_resets(system: AuthTestSystem) -> None:
    """Do what the timer does."""
    async with system.database.connection() as db, db.transaction():
        asked = [row["request_id"] for row in await db.fetch("SELECT request_id FROM reset_requests")]
        stores = Stores(db, system.redis, "test", {AuthTools: system.tools, Vault: system.vault})
        await send_resets(asked, stores, now_instant())


async def open_test_system(
    database_url: str, redis_url: str, secrets: Path, *, life_s: int = 900
) -> AuthTestSystem:
    """Return a started system."""
    database, redis = await open_database(database_url), open_redis(redis_url)
    hasher = PasswordHasher(memory_kib=64, waiting_max=2000)
    tools = AuthTools(secrets, ISSUER, life_s, hasher=hasher)
    watch = RevocationWatch(database, life_s)
    published: list[tuple[str, str]] = []

    def publish(publications: Sequence[tuple[str, Sequence[Entry]]]) -> None:
        published.extend(
            (channel, entry.data.decode()) for channel, entries in publications for entry in entries
        )

    made: dict[type, Any] = {
        AuthTools: tools,
        OauthTools: OauthTools({}),
        ChannelKinds: KINDS,
        Vault: Vault(secrets),
    }
    pipeline = Pipeline(database, redis, "test", publish, ROUTES, made)
    pipeline.start()
    await watch.start()
    verifier = TokenVerifier(tools.keys, ISSUER, watch)
    return AuthTestSystem(database, redis, tools, watch, verifier, pipeline, made[Vault], made, published)
