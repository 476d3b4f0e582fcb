"""Tokens that mails carry, by their hashes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "account_tokens.sql")

TokenPurpose = Literal["verify_email", "reset_password", "change_email"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountToken:
    """A token that is live."""

    user_id: UUID
    purpose: TokenPurpose
    email: str
    """The address it was sent to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedToken:
    """A token that is live, and whose it is."""

    user_id: UUID
    purpose: TokenPurpose
    email: str
    user_email: str
    display_name: str


async def insert_token(
    db: Connection, token_hash: bytes, token: AccountToken, at_ms: int, life_ms: int, most: int
) -> bool:
    """Keep a token; False when the user was sent `most` for this purpose within `life_ms`. Cost: one round trip."""
    added = await db.fetchval(
        _sql.insert_token,
        token_hash,
        token.user_id,
        token.purpose,
        token.email,
        at_ms,
        at_ms + life_ms,
        most,
        at_ms - life_ms,
    )
    return added is not None


async def read_token(
    db: Connection, token_hash: bytes, purposes: Sequence[TokenPurpose], now_ms: int
) -> OwnedToken | None:
    """Return a live token with its user, or None. Cost: one round trip."""
    row = await db.fetchrow(_sql.read_token, token_hash, purposes, now_ms)
    return None if row is None else OwnedToken(**row)


async def take_token(
    db: Connection, token_hash: bytes, purposes: Sequence[TokenPurpose], now_ms: int
) -> AccountToken | None:
    """Use a token up; None when it is not live. Cost: one round trip; who takes it at once waits and gets None."""
    row = await db.fetchrow(_sql.take_token, token_hash, purposes, now_ms)
    return None if row is None else AccountToken(**row)


async def delete_tokens(db: Connection, user_id: UUID, purposes: Sequence[TokenPurpose]) -> None:
    """Make all tokens of a user for some purposes worthless. Cost: one round trip."""
    await db.execute(_sql.delete_tokens, user_id, purposes)


async def delete_old_tokens(db: Connection, before_ms: int, limit: int) -> int:
    """Forget tokens that expired before an instant, at most `limit`; return how many. Cost: one round trip."""
    return len(await db.fetch(_sql.delete_old_tokens, before_ms, limit))


async def insert_reset_request(db: Connection, request_id: UUID, email: str) -> None:
    """Keep the wish for a new password of whoever has an address. Cost: one round trip."""
    await db.execute(_sql.insert_reset_request, request_id, email)


async def take_reset_requests(db: Connection, request_ids: Sequence[UUID]) -> list[str]:
    """Return the addresses of requests, which are answered by that. Cost: one round trip."""
    return [row["email"] for row in await db.fetch(_sql.take_reset_requests, request_ids)]
