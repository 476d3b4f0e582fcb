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


async def restore_failure(db: Connection, failure_id: int, now_ms: int) -> str | None:
    """Put a reaction back into its queue, at its place, or a job with its id; return its name.

    None when there is no such failure. Call it in a transaction. Cost: two or three round trips.
    """
    row = await db.fetchrow(_sql.take_failure, failure_id)
    if row is None:
        return None
    name: str = row["name"]
    if row["job_id"] is not None:
        await db.execute(_sql.restore_job, row["job_id"], name, row["ref"], row["at_ms"], now_ms)
    else:
        reaction = NewReaction(name, row["aggregate"], row["number"], row["fact"], row["data"], row["at_ms"])
        await insert_reactions(db, [reaction], now_ms)
    return name
