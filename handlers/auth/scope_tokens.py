"""Scope tokens: an account lends others the sight of some channels, for a while, and never more than it has itself.

A token names its issuer's session and the channels. It opens nothing else, and is good only while that session lives
with the roles it had and nobody took it back: signature, expiry and the watch are asked at every use, the database once
in a while, because the watch forgets ends that no access token can outlive while a scope token may be a day old.
Source: decisions 0033, 0035.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from handlers.auth.keys import KeyRing
from handlers.auth.revocations import RevocationWatch
from handlers.auth.tokens import (
    SignedClaims,
    TokenReader,
    Verified,
    caller_of,
    claims_of,
    confirm,
    sign,
)
from handlers.contract import Caller
from handlers.domain import ChannelKinds
from protocols.auth.commands import ScopeTokenOver, SessionOver, TokenExpired
from protocols.errors import NotAllowed
from protocols.values import now_instant
from storage.auth.scope_tokens_postgres import read_lender
from storage.engines.postgres import Database

AUDIENCE = "mnbara:channels"
"""Not that of access tokens: neither is good for the other's purpose."""

TOKEN_TYPE = "scope+jwt"  # noqa: S105 - RFC 8725 section 3.11: explicit types

TOKENS_MAX = 10_000
"""Tokens remembered to be good, about 200 bytes each."""


@dataclass(frozen=True, slots=True)
class Scope(Verified):
    """What a good scope token says; `caller` is its issuer."""

    token_id: UUID
    channels: frozenset[str]

    def check(self, channel: str, kinds: ChannelKinds) -> None:
        """Raises NotAllowed unless the token names the channel or its kind, and the kind may be shared."""
        kind = kinds.kind_of(channel)
        if kind is None or not kind.shareable:
            raise NotAllowed
        if channel not in self.channels and f"{kind.word}:*" not in self.channels:
            raise NotAllowed("The token is for other channels")


class _ScopeClaims(SignedClaims, kw_only=True, frozen=True, gc=False):
    """What the token itself says."""

    channels: list[str]


class ScopeSigner:
    """Makes scope tokens."""

    def __init__(self, keys: KeyRing, issuer: str) -> None:
        """Prepare; `issuer` is the server's public URL."""
        self._keys, self._issuer = keys, issuer

    def sign(
        self,
        token_id: UUID,
        issuer: Caller,
        access_version: int,
        channels: Sequence[str],
        now_ms: int,
        ends_at_ms: int,
    ) -> str:
        """Return the token of this id for these channels, which expires at an instant."""
        claims: dict[str, Any] = claims_of(issuer, access_version, now_ms // 1000, ends_at_ms // 1000)
        claims |= {"iss": self._issuer, "aud": AUDIENCE, "jti": str(token_id), "channels": list(channels)}
        return sign(self._keys, TOKEN_TYPE, claims)


class ScopeVerifier:
    """Checks scope tokens: signature once, everything that may have changed since at every use."""

    def __init__(
        self, keys: KeyRing, issuer: str, watch: RevocationWatch, database: Database, remembers_s: int
    ) -> None:
        """Prepare; the watch, which must be started, knows every end for `remembers_s` at least."""
        self._watch, self._database = watch, database
        self._remembers_s = remembers_s
        self._reader = TokenReader(keys, issuer, AUDIENCE, TOKEN_TYPE, _ScopeClaims, _scope)
        self._lived_at: OrderedDict[UUID, float] = OrderedDict()
        self._looks: dict[UUID, asyncio.Task[None]] = {}

    async def verify_scope_token(self, token: str) -> Scope:
        """Return what the token lends.

        Raises: TokenInvalid, TokenExpired, SessionOver, ScopeTokenOver, TemporarilyUnavailable. Cost: none, or one
        round trip for all who show the same token.
        """
        scope = self._reader.read(token)
        if not self._watch.is_fresh:
            await self._watch.refresh()
        self.confirm(scope)
        await self._check_token(scope)
        self.confirm(scope)
        return scope

    def confirm(self, scope: Scope) -> None:
        """Judge a verified token again by what this process knows now.

        Raises: TokenExpired, SessionOver, ScopeTokenOver.
        """
        confirm(scope, self._watch)
        if self._watch.has_token_ended(scope.token_id):
            raise ScopeTokenOver

    async def _check_token(self, scope: Scope) -> None:
        """Make sure token and session were good at an instant from which on the watch would know of their end."""
        token_id = scope.token_id
        if time.monotonic() - self._lived_at.get(token_id, float("-inf")) < self._remembers_s:
            self._lived_at.move_to_end(token_id)
            return
        look = self._looks.get(token_id)
        if look is None:
            look = self._looks[token_id] = asyncio.get_running_loop().create_task(self._look(scope))
            look.add_done_callback(lambda _: self._looks.pop(token_id, None))
        await asyncio.shield(look)

    async def _look(self, scope: Scope) -> None:
        begun = time.monotonic()
        async with self._database.connection() as db:
            lender = await read_lender(db, scope.token_id, now_instant())
        if lender is None:
            raise SessionOver
        if lender.is_over:
            raise ScopeTokenOver
        if lender.access_version > scope.access_version:
            raise TokenExpired("The roles of the account that made this token changed")
        self._lived_at[scope.token_id] = begun
        if len(self._lived_at) > TOKENS_MAX:
            self._lived_at.popitem(last=False)


def _scope(claims: _ScopeClaims) -> Scope:
    channels = frozenset(claims.channels)
    return Scope(caller_of(claims), claims.ver, claims.exp, UUID(claims.jti), channels)
