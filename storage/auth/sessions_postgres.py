"""Sessions: the truth about who is signed in, and the order in which access was taken away (decision 0010)."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "sessions.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedSession:
    """A session and the access its user has now."""

    session_id: UUID
    user_id: UUID
    counter: int
    rotated_at_ms: int
    expires_at_ms: int
    ended_at_ms: int | None
    roles: frozenset[str]
    access_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSession:
    """A session in its owner's list."""

    session_id: UUID
    created_at_ms: int
    rotated_at_ms: int
    expires_at_ms: int
    remote_ip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a user may do through a live session."""

    roles: frozenset[str]
    access_version: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """Access taken away: of a session, of a scope token, or else of all tokens below the user's `access_version`."""

    user_id: UUID
    session_id: UUID | None
    token_id: UUID | None
    access_version: int
    at_ms: int


async def insert_session(
    db: Connection, session_id: UUID, user_id: UUID, at_ms: int, expires_at_ms: int, remote_ip: str
) -> None:
    """Add a live session with counter 0. Cost: one round trip."""
    await db.execute(_sql.insert_session, session_id, user_id, at_ms, expires_at_ms, remote_ip)


async def freshen_session(db: Connection, user_id: UUID, session_id: UUID | None, at_ms: int) -> bool:
    """Note that a factor was shown; False when the session is not live. Cost: one round trip."""
    return await db.fetchval(_sql.freshen_session, user_id, session_id, at_ms) is not None


async def end_surplus_sessions(db: Connection, user_id: UUID, keep: int, at_ms: int) -> list[UUID]:
    """End all but the `keep` most lately used sessions; return which. Cost: one round trip."""
    return [row["session_id"] for row in await db.fetch(_sql.end_surplus_sessions, user_id, keep, at_ms)]


async def lock_session(db: Connection, session_id: UUID) -> LockedSession | None:
    """Return a session, ended or not, locked until commit. Cost: one round trip; may wait for another refresh."""
    row = await db.fetchrow(_sql.lock_session, session_id)
    if row is None:
        return None
    columns = dict(row)
    columns["roles"] = frozenset(columns["roles"])
    return LockedSession(**columns)


async def lock_access(db: Connection, user_id: UUID, session_id: UUID, now_ms: int) -> Access | None:
    """Return what a user may do through a session of theirs; None when it does not live.

    Cost: one round trip. Locks: the user's row, so that one after the other counts what the user has.
    """
    row = await db.fetchrow(_sql.lock_access, user_id, session_id, now_ms)
    return (
        None if row is None else Access(roles=frozenset(row[0]), access_version=row[1], expires_at_ms=row[2])
    )


async def rotate_session(db: Connection, session_id: UUID, counter: int, at_ms: int) -> None:
    """Make `counter` the current one of a session locked before. Cost: one round trip."""
    await db.execute(_sql.rotate_session, session_id, counter, at_ms)


async def end_session(db: Connection, user_id: UUID, session_id: UUID, at_ms: int, reason: str) -> bool:
    """End a live session of this user; False when there is no such. Cost: one round trip; locks the row."""
    return await db.fetchrow(_sql.end_session, user_id, session_id, at_ms, reason) is not None


async def end_all_sessions(
    db: Connection, user_id: UUID, at_ms: int, reason: str, keep: UUID | None = None
) -> list[UUID]:
    """End every live session of a user, but one to keep; return which. Cost: one round trip; locks the rows."""
    return [row["session_id"] for row in await db.fetch(_sql.end_all_sessions, user_id, at_ms, reason, keep)]


async def list_sessions(db: Connection, user_id: UUID, now_ms: int, limit: int) -> list[LiveSession]:
    """Return a user's live sessions, the most lately used first. Cost: one round trip."""
    return [LiveSession(**row) for row in await db.fetch(_sql.list_sessions, user_id, now_ms, limit)]


async def read_revocations(
    db: Connection, from_transaction: int, after_ms: int
) -> tuple[int, Sequence[Revocation]]:
    """Return what was taken away since, and where to ask from next; nothing that commits later is skipped.

    A revocation may come twice. Cost: one round trip, three index ranges.
    """
    rows = await db.fetch(_sql.read_revocations, from_transaction, after_ms)
    found = [
        Revocation(
            user_id=row["user_id"],
            session_id=row["session_id"],
            token_id=row["token_id"],
            access_version=row["access_version"],
            at_ms=row["at_ms"],
        )
        for row in rows
        if row["user_id"] is not None
    ]
    return rows[0]["horizon"], found


async def delete_old_sessions(db: Connection, before_ms: int, limit: int) -> int:
    """Forget sessions that expired before an instant, at most `limit`; return how many. Cost: one round trip."""
    return len(await db.fetch(_sql.delete_old_sessions, before_ms, limit))
