"""Users: who may sign in, and as what."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from asyncpg import UniqueViolationError

from storage.engines.postgres import Connection
from storage.platform.sql import load

if TYPE_CHECKING:
    from asyncpg import Record

_sql = load(__file__, "users.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUser:
    """A row of `users`."""

    user_id: UUID
    email: str
    display_name: str
    roles: frozenset[str]
    access_version: int
    banned_at_ms: int | None
    password_hash: str
    email_verified_at_ms: int | None
    bio: str
    locale: str
    time_zone: str
    created_at_ms: int
    password_set: bool
    """False: a provider made the account, and nobody knows its password."""


def _user(row: "Record | None") -> StoredUser | None:
    if row is None:
        return None
    columns = dict(row)
    columns["roles"] = frozenset(columns["roles"])
    return StoredUser(**columns)


async def insert_user(
    db: Connection, user_id: UUID, email: str, password_hash: str, display_name: str, at_ms: int
) -> StoredUser | None:
    """Add a user with the role `user`; None when the address is taken. Cost: one round trip."""
    return _user(await db.fetchrow(_sql.insert_user, user_id, email, password_hash, display_name, at_ms))


async def insert_member(
    db: Connection,
    user_id: UUID,
    email: str,
    unmatchable_hash: str,
    display_name: str,
    at_ms: int,
    *,
    verified: bool,
) -> StoredUser | None:
    """Add a user whom a provider brings, without a password; None when the address is taken. Cost: one round trip."""
    verified_at_ms = at_ms if verified else None
    row = await db.fetchrow(
        _sql.insert_member, user_id, email, unmatchable_hash, display_name, at_ms, verified_at_ms
    )
    return _user(row)


async def insert_missing_users(
    db: Connection,
    emails: Sequence[str],
    display_names: Sequence[str],
    user_ids: Sequence[UUID],
    password_hash: str,
    at_ms: int,
) -> int:
    """Add users who share a password; return how many were missing. Cost: one round trip."""
    done = await db.execute(_sql.insert_missing_users, user_ids, emails, password_hash, display_names, at_ms)
    return int(done.rpartition(" ")[2])


async def read_user_by_email(db: Connection, email: str) -> StoredUser | None:
    """Return the user of a normalised address. Cost: one round trip."""
    return _user(await db.fetchrow(_sql.read_user_by_email, email))


async def read_user(db: Connection, user_id: UUID) -> StoredUser | None:
    """Return a user. Cost: one round trip."""
    return _user(await db.fetchrow(_sql.read_user, user_id))


async def find_existing(db: Connection, user_ids: Sequence[UUID]) -> list[UUID]:
    """Return those of these ids that are users'. Cost: one round trip."""
    return [row["user_id"] for row in await db.fetch(_sql.find_existing, user_ids)]


async def replace_password_hash(db: Connection, user_id: UUID, old: str, new: str) -> bool:
    """Write a new hash of the same password; False when the old one is there no more. Cost: one round trip."""
    return await db.fetchval(_sql.replace_password_hash, user_id, old, new) is not None


async def share_user(db: Connection, user_id: UUID) -> StoredUser | None:
    """Return a user who stays as they are until commit. Cost: one round trip; share lock on the row."""
    return _user(await db.fetchrow(_sql.share_user, user_id))


async def change_roles(db: Connection, user_id: UUID, roles: frozenset[str], at_ms: int) -> StoredUser | None:
    """Give a user these roles and make older access tokens invalid. Cost: one round trip; locks the row."""
    return _user(await db.fetchrow(_sql.change_roles, user_id, sorted(roles), at_ms))


async def change_ban(db: Connection, user_id: UUID, at_ms: int | None, reason: str) -> StoredUser | None:
    """Ban a user at an instant, or lift the ban with None. Cost: one round trip; locks the row."""
    return _user(await db.fetchrow(_sql.change_ban, user_id, at_ms, reason))


async def lock_user(db: Connection, user_id: UUID) -> StoredUser | None:
    """Return a user whom nobody else changes before we commit. Cost: one round trip; locks the row."""
    return _user(await db.fetchrow(_sql.lock_user, user_id))


async def lock_by_email(db: Connection, emails: Sequence[str]) -> list[StoredUser]:
    """Return the users of normalised addresses. Cost: one round trip; locks their rows."""
    found = [_user(row) for row in await db.fetch(_sql.list_by_email, emails)]
    return [user for user in found if user is not None]


async def change_password(db: Connection, user_id: UUID, password_hash: str) -> None:
    """Give a user another password. Cost: one round trip; locks the row."""
    await db.execute(_sql.change_password, user_id, password_hash)


async def verify_email(db: Connection, user_id: UUID, at_ms: int) -> None:
    """Note that the address is the user's. Cost: one round trip; locks the row."""
    await db.execute(_sql.verify_email, user_id, at_ms)


async def change_email(db: Connection, user_id: UUID, email: str, at_ms: int) -> bool:
    """Give a user another address, which is known to be theirs; False when it is taken. Cost: three round trips."""
    try:
        async with db.transaction():
            await db.execute(_sql.change_email, user_id, email, at_ms)
    except UniqueViolationError:
        return False
    return True


async def describe_user(
    db: Connection,
    user_id: UUID,
    *,
    display_name: str | None,
    bio: str | None,
    locale: str | None,
    time_zone: str | None,
) -> StoredUser | None:
    """Change what a user says of themselves; None stays as it is. Cost: one round trip; locks the row."""
    return _user(await db.fetchrow(_sql.describe_user, user_id, display_name, bio, locale, time_zone))
