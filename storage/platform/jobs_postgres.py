"""Jobs: calls to other machines, written in the transaction that wants them, leased by who makes the call.

The number of attempts says whose the lease is: every claim counts on. Who lost the lease, because the call took longer
than the lease, changes nothing any more.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from msgspec import Struct

from protocols.values import new_id
from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "jobs.sql")
_COLUMNS = ("job_id", "kind", "ref", "at_ms", "due_at_ms")


class LeasedJob(Struct, frozen=True, gc=False):
    """A job as who makes the call has it."""

    job_id: UUID
    ref: UUID
    at_ms: int
    attempts: int
    mistakes: int
    """Attempts before this one that failed by a mistake, not because a machine was away."""
    unreported: int
    """Leases in a row, with this one, that ended without a word."""


async def insert_jobs(db: Connection, jobs: Iterable[tuple[str, UUID]], now_ms: int) -> None:
    """Write (kind, ref) jobs that are due at once. Cost: one round trip."""
    rows = [(new_id(), kind, ref, now_ms, now_ms) for kind, ref in jobs]
    await db.copy_records_to_table("jobs", records=rows, columns=_COLUMNS)


async def claim_job(db: Connection, kind: str, now_ms: int, until_ms: int) -> LeasedJob | None:
    """Take the job that is due for the longest time, until an instant. Cost: one round trip, one index probe."""
    row = await db.fetchrow(_sql.claim_job, kind, now_ms, until_ms)
    return None if row is None else LeasedJob(*row)


async def delete_job(db: Connection, job: LeasedJob) -> bool:
    """Forget a job that was done; False when somebody else has it. Cost: one round trip."""
    return await db.fetchval(_sql.delete_job, job.job_id, job.attempts) is not None


async def postpone_job(db: Connection, job: LeasedJob, until_ms: int, *, is_mistake: bool = False) -> None:
    """Let a job wait, unless somebody else has it. Cost: one round trip."""
    await db.execute(_sql.postpone_job, job.job_id, job.attempts, until_ms, int(is_mistake))


async def give_up_job(db: Connection, job: LeasedJob, error: str, now_ms: int) -> None:
    """Move a job to the failures, unless somebody else has it. Cost: one round trip."""
    await db.execute(_sql.give_up_job, job.job_id, job.attempts, now_ms, error)


async def next_due(db: Connection, kinds: Sequence[str]) -> dict[str, int]:
    """Return when each of these kinds has a job due next (ms), without those that have none waiting."""
    return {row["kind"]: row["due_at_ms"] for row in await db.fetch(_sql.next_due, list(kinds))}


async def count_waiting(db: Connection) -> dict[str, tuple[int, int]]:
    """Return how many wait and since when the oldest (ms), by kind. Cost: a pass over those that wait."""
    return {kind: (count, at_ms) for kind, count, at_ms in await db.fetch(_sql.count_waiting)}
