"""Scope tokens that were made, and which of them were taken back; never the tokens themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "scope_tokens.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeToken:
    """A token in its issuer's list."""

    token_id: UUID
    label: str
    channels: list[str]
    created_at_ms: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lender:
    """The account behind a token, while its session lives."""

    access_version: int
    is_over: bool
    """The token was taken back."""


async def insert_scope_token(
    db: Connection, token: MadeToken, user_id: UUID, session_id: UUID, access_version: int
) -> None:
    """Note a token that is about to be handed out. Cost: one round trip."""
    await db.execute(
        _sql.insert_scope_token,
        token.token_id,
        user_id,
        session_id,
        access_version,
        token.label,
        token.channels,
        token.created_at_ms,
        token.expires_at_ms,
    )


async def list_scope_tokens(db: Connection, user_id: UUID, now_ms: int, limit: int) -> Sequence[MadeToken]:
    """Return a user's tokens that are good now, the newest first. Cost: one round trip."""
    return [MadeToken(**row) for row in await db.fetch(_sql.list_scope_tokens, user_id, now_ms, limit)]


async def end_scope_token(db: Connection, user_id: UUID, token_id: UUID, at_ms: int) -> bool:
    """Take back a token of this user; False when there is no such. Cost: one round trip; locks the row."""
    return await db.fetchrow(_sql.end_scope_token, user_id, token_id, at_ms) is not None


async def read_lender(db: Connection, token_id: UUID, now_ms: int) -> Lender | None:
    """Return who stands behind a token; None when its session does not live. Cost: one round trip."""
    row = await db.fetchrow(_sql.read_lender, token_id, now_ms)
    return None if row is None else Lender(**row)


async def delete_old_scope_tokens(db: Connection, before_ms: int, limit: int) -> int:
    """Forget tokens that expired before an instant, at most `limit`; return how many. Cost: one round trip."""
    return len(await db.fetch(_sql.delete_old_scope_tokens, before_ms, limit))
