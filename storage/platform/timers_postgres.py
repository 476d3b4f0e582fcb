"""Timers: rows written in the transaction that needs them, claimed with SKIP LOCKED, woken early by NOTIFY."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "timers.sql")


@dataclass(frozen=True, slots=True)
class DueTimer:
    """A claimed timer."""

    timer_id: int
    ref: UUID
    due_at_ms: int


async def insert_timers(db: Connection, timers: Sequence[tuple[int, str, UUID]]) -> None:
    """Write (due_at_ms, kind, ref) rows. Cost: one round trip."""
    await db.copy_records_to_table("timers", records=timers, columns=("due_at_ms", "kind", "ref"))


async def notify_timers(db: Connection) -> None:
    """Wake sleeping workers at commit. Cost: one round trip; commits that notify wait for one another."""
    await db.execute(_sql.notify_timers)


async def claim_due_timers(db: Connection, kind: str, now_ms: int, limit: int) -> list[DueTimer]:
    """Take due timers of one kind, oldest first; they are gone once the transaction commits."""
    rows = await db.fetch(_sql.claim_due_timers, kind, now_ms, limit)
    return sorted((DueTimer(*row) for row in rows), key=lambda timer: timer.due_at_ms)


async def postpone_timer(db: Connection, timer_id: int, now_ms: int, waits_s: Sequence[int]) -> None:
    """Try a due timer again after the wait for its number of failures (the last one repeats). Cost: one round trip."""
    await db.execute(_sql.postpone_timer, timer_id, now_ms, [wait_s * 1000 for wait_s in waits_s])


async def next_due(db: Connection, kinds: Sequence[str]) -> int | None:
    """Return when the next timer of these kinds is due, or None. Cost: one index probe per kind."""
    due: int | None = await db.fetchval(_sql.next_due, list(kinds))
    return due


async def read_upcoming(db: Connection, kind: str, from_ms: int, until_ms: int, limit: int) -> list[UUID]:
    """Return the refs of timers of a kind with from <= due < until, soonest first. Cost: one index range."""
    return [row["ref"] for row in await db.fetch(_sql.read_upcoming, kind, from_ms, until_ms, limit)]
