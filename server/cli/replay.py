"""List the reactions and jobs that were given up, and put them back.

A reaction goes back to its place in the queue of its aggregate, but later facts may have been reacted to since. A job
keeps its id, so a call that had gone through is recognised by the callee.
"""

from collections.abc import Callable, Sequence

from protocols.values import now_instant, to_timestamp
from storage.engines.postgres import Database, open_database
from storage.platform.failures_postgres import Failure, list_failures, restore_failure

PAGE = 500
"""Failures read at a time."""


async def replay_on(
    postgres_url: str, failure_id: int | None, *, replay_all: bool, say: Callable[[str], None]
) -> bool:
    """Do as `replay` on a database. Raises the driver's error when it cannot be reached."""
    database = await open_database(postgres_url, size_max=1)
    try:
        return await replay(database, failure_id, replay_all=replay_all, say=say)
    finally:
        await database.close()


async def replay(
    database: Database, failure_id: int | None, *, replay_all: bool, say: Callable[[str], None]
) -> bool:
    """Put back one failure or all, or list them, a line each; return False when there is no such failure."""
    if failure_id is not None:
        name = await _restore(database, failure_id)
        if name:
            say(f"{failure_id} {name}: put back")
        return name is not None
    after = 0
    while page := await _read_page(database, after):
        for failure in page:
            if not replay_all:
                say(describe(failure))
            elif name := await _restore(database, failure.failure_id):
                say(f"{failure.failure_id} {name}: put back")
        after = page[-1].failure_id
    return True


def describe(failure: Failure) -> str:
    """Return a failure as one line."""
    about = (
        f"{failure.aggregate} #{failure.number}" if failure.aggregate else f"{failure.ref} {failure.job_id}"
    )
    times = f"{to_timestamp(failure.failed_at_ms)} after {failure.attempts} attempts"
    return f"{failure.failure_id} {failure.name} {about} {times}: {failure.error}"


async def _read_page(database: Database, after: int) -> Sequence[Failure]:
    async with database.connection() as db:
        return await list_failures(db, after, PAGE)


async def _restore(database: Database, failure_id: int) -> str | None:
    async with database.transaction() as db:
        return await restore_failure(db, failure_id, now_instant())
