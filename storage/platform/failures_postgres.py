"""Reactions and jobs that were given up: counted, listed, put back."""

from uuid import UUID

from msgspec import Struct

from storage.engines.postgres import Connection
from storage.platform.reactions_postgres import NewReaction, insert_reactions
from storage.platform.sql import load

_sql = load(__file__, "failures.sql")


class Failure(Struct, frozen=True):
    """What was given up; a reaction has `aggregate` and `number`, a job `job_id` and `ref`."""

    failure_id: int
    name: str
    at_ms: int
    failed_at_ms: int
    attempts: int
    error: str
    aggregate: str | None
    number: int | None
    job_id: UUID | None
    ref: UUID | None


async def count_failures(db: Connection) -> dict[str, int]:
    """Return how many were given up, by name of the reaction or job. Cost: a pass over them."""
    return {name: count for name, count in await db.fetch(_sql.count_failures)}  # noqa: C416 - rows are no pairs to mypy


async def list_failures(db: Connection, after: int, limit: int) -> list[Failure]:
    """Return what was given up after a failure's id, oldest first. Cost: one index range."""
    return [Failure(*row) for row in await db.fetch(_sql.list_failures, after, limit)]


class TakenFailure(Struct, frozen=True):
    """A failure that this transaction has removed, to be put back; a reaction has a fact, a job has an id."""

    name: str
    at_ms: int
    aggregate: str | None
    number: int | None
    fact: str | None
    data: str | None
    job_id: UUID | None
    ref: UUID | None


async def take_failure(db: Connection, failure_id: int) -> TakenFailure | None:
    """Remove a failure, None when there is no such. Call it in a transaction. Cost: one round trip."""
    row = await db.fetchrow(_sql.take_failure, failure_id)
    return None if row is None else TakenFailure(*row)


async def restore(db: Connection, failure: TakenFailure, now_ms: int) -> None:
    """Put a reaction back into its queue, at its place, or a job with its id. Cost: one or two round trips.

    Raises the driver's error when the place or the id is taken.
    """
    if failure.job_id is not None:
        known = (failure.job_id, failure.name, failure.ref, failure.at_ms)
        await db.execute(_sql.restore_job, *known, now_ms)
        return
    assert failure.aggregate is not None
    assert failure.number is not None
    assert failure.fact is not None
    assert failure.data is not None
    place = (failure.aggregate, failure.number, failure.fact, failure.data, failure.at_ms)
    await insert_reactions(db, [NewReaction(failure.name, *place)], now_ms)
