"""Timers: rows written in the transaction that needs them, claimed with SKIP LOCKED, woken early by NOTIFY."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from storage.engines.postgres import Connection
from storage.sql import load

_sql = load(__file__, "timers.sql")


@dataclass(frozen=True, slots=True)
class DueTimer:
    """A claimed timer."""

    ref: UUID
    due_at_ms: int


async def insert_timers(db: Connection, timers: Sequence[tuple[int, str, UUID]]) -> None:
    """Write (due_at_ms, kind, ref) rows and wake sleeping workers at commit. Cost: two round trips."""
    await db.execute(_sql.insert_timers, *(list(column) for column in zip(*timers, strict=True)))
    await db.execute(_sql.notify_timers)


async def claim_due_timers(db: Connection, kind: str, now_ms: int, limit: int) -> list[DueTimer]:
    """Take due timers of one kind, oldest first; they are gone once the transaction commits."""
    rows = await db.fetch(_sql.claim_due_timers, kind, now_ms, limit)
    return sorted((DueTimer(*row) for row in rows), key=lambda timer: timer.due_at_ms)


async def postpone_oldest_timer(db: Connection, kind: str, now_ms: int, waits_s: Sequence[int]) -> None:
    """Try the oldest due timer of a kind again after the wait for its number of failures (the last one repeats)."""
    await db.execute(_sql.postpone_oldest_timer, kind, now_ms, [wait_s * 1000 for wait_s in waits_s])


async def next_due(db: Connection, kinds: Sequence[str]) -> int | None:
    """Return when the next timer of these kinds is due, or None."""
    due: int | None = await db.fetchval(_sql.next_due, list(kinds))
    return due
