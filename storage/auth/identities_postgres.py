"""Who accounts are to other sign-in providers."""

from dataclasses import dataclass
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "identities.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredIdentity:
    """A row of `identities`."""

    identity_id: UUID
    user_id: UUID
    provider: str
    email: str
    at_ms: int


async def find_identity(db: Connection, issuer: str, subject: str) -> StoredIdentity | None:
    """Return whose identity this is; it stays theirs until commit. Cost: one round trip; share lock."""
    row = await db.fetchrow(_sql.lock_identity, issuer, subject)
    return None if row is None else StoredIdentity(**row)


async def insert_identity(db: Connection, identity: StoredIdentity, issuer: str, subject: str) -> bool:
    """Keep an identity; False when it is somebody's. Cost: one round trip."""
    added = await db.fetchval(
        _sql.insert_identity,
        identity.identity_id,
        identity.user_id,
        identity.provider,
        issuer,
        subject,
        identity.email,
        identity.at_ms,
    )
    return added is not None


async def list_identities(db: Connection, user_id: UUID) -> list[StoredIdentity]:
    """Return a user's identities, the oldest first. Cost: one round trip."""
    return [StoredIdentity(**row) for row in await db.fetch(_sql.list_identities, user_id)]


async def delete_identity(db: Connection, identity_id: UUID, user_id: UUID) -> bool:
    """Forget an identity of a user; False when there is no such. Cost: one round trip."""
    return await db.fetchval(_sql.delete_identity, identity_id, user_id) is not None


async def delete_identities(db: Connection, user_id: UUID) -> list[UUID]:
    """Forget all identities of a user; return which. Cost: one round trip."""
    return [row["identity_id"] for row in await db.fetch(_sql.delete_identities, user_id)]
