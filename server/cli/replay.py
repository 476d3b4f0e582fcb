"""`./mnbara replay`: list the reactions and jobs that were given up, and put them back.

A reaction goes back to its place in the queue of its aggregate, but later facts may have been reacted to since. A job
keeps its id, so a call that had gone through is recognised by the callee.
"""

import argparse
from collections.abc import Callable, Sequence

from protocols.values import now_instant, to_timestamp
from storage.engines.postgres import Database, open_database
from storage.platform.failures_postgres import Failure, list_failures, restore_failure

PAGE = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("failure_id", nargs="?", type=int, metavar="ID", help="put back this one")
    parser.add_argument("--all", action="store_true", dest="replay_all", help="put back all")
    parser.add_argument("--list", action="store_true", help="list them (what happens without ID and --all)")


async def run(postgres_url: str, arguments: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Run the verb on a database; return the exit code. Raises the driver's error when it cannot be reached."""
    database = await open_database(postgres_url, size_max=1)
    try:
        return await replay(database, arguments.failure_id, replay_all=arguments.replay_all, say=say)
    finally:
        await database.close()


async def replay(
    database: Database, failure_id: int | None, *, replay_all: bool, say: Callable[[str], None]
) -> int:
    """Put back one failure or all, or list them; return the exit code, 1 when there is no such failure."""
    if failure_id is not None:
        name = await _restore(database, failure_id)
        say(f"{failure_id} {name}: put back" if name else f"there is no failure {failure_id}")
        return 0 if name else 1
    after = 0
    while page := await _read_page(database, after):
        for failure in page:
            if not replay_all:
                say(describe(failure))
            elif name := await _restore(database, failure.failure_id):
                say(f"{failure.failure_id} {name}: put back")
        after = page[-1].failure_id
    return 0


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
