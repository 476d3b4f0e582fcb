"""List the reactions and jobs that were given up, and put them back.

A reaction goes back to its place in the queue of its aggregate, but later facts may have been reacted to since. A job
keeps its id, so a call that had gone through is recognised by the callee. A failure that cannot be put back stays where
it is: no program knows its name, its data are no such fact, its place is taken.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import asyncpg
import msgspec

from handlers.domain import ReactionKind, fact_name
from protocols.values import now_instant, to_timestamp
from server.domains import DOMAINS, jobs_of, reactions_of
from storage.engines.postgres import Database, open_database
from storage.platform.failures_postgres import Failure, TakenFailure, list_failures, restore, take_failure

PAGE = 500
"""Failures read at a time."""


class UnfitFailureError(Exception):
    """A failure cannot be put back; the message says why."""


async def replay_on(
    postgres_url: str, failure_id: int | None, *, replay_all: bool, say: Callable[[str], None]
) -> bool:
    """Do as `Replay.run` on a database. Raises the driver's error when it cannot be reached, UnfitFailureError."""
    database = await open_database(postgres_url, size_max=1)
    replay = Replay(database, reactions_of(DOMAINS), jobs_of(DOMAINS), say)
    try:
        return await replay.run(failure_id, replay_all=replay_all)
    finally:
        await database.close()


class Replay:
    """The failures of one database, and what this program knows to run."""

    def __init__(
        self,
        database: Database,
        reactions: Mapping[str, ReactionKind],
        jobs: Collection[str],
        say: Callable[[str], None],
    ) -> None:
        """Put back `reactions` and `jobs` with these stored names; tell what was done, a line each."""
        self._database = database
        self._reactions = reactions
        self._jobs = jobs
        self._say = say

    async def run(self, failure_id: int | None, *, replay_all: bool) -> bool:
        """Put back one failure or all, or list them; return False when one was asked for that does not exist.

        Of all, those that cannot be put back are told and stay. Raises UnfitFailureError for the one asked for.
        """
        if failure_id is not None:
            name = await self._restore(failure_id)
            if name:
                self._say(f"{failure_id} {name}: put back")
            return name is not None
        after = -1
        while page := await self._read_page(after):
            for failure in page:
                await self._tell(failure, replay_all=replay_all)
            after = page[-1].failure_id
        return True

    async def _tell(self, failure: Failure, *, replay_all: bool) -> None:
        if not replay_all:
            self._say(describe(failure))
            return
        try:
            name = await self._restore(failure.failure_id)
        except UnfitFailureError as unfit:
            self._say(f"{failure.failure_id} {failure.name}: NOT put back: {unfit}")
        else:
            if name:
                self._say(f"{failure.failure_id} {name}: put back")

    async def _read_page(self, after: int) -> Sequence[Failure]:
        async with self._database.connection() as db:
            return await list_failures(db, after, PAGE)

    async def _restore(self, failure_id: int) -> str | None:
        """Put one back and return its name; None when there is none. Raises UnfitFailureError."""
        try:
            async with self._database.transaction() as db:
                taken = await take_failure(db, failure_id)
                if taken is None:
                    return None
                self._check(taken)
                await restore(db, taken, now_instant())
        except asyncpg.UniqueViolationError:
            raise UnfitFailureError("its place is taken: it waits already, or was edited") from None
        except asyncpg.PostgresError as error:
            raise UnfitFailureError(f"PostgreSQL refuses it ({type(error).__name__})") from None
        return taken.name

    def _check(self, failure: TakenFailure) -> None:
        if failure.job_id is not None:
            if failure.name not in self._jobs:
                raise UnfitFailureError("this version has no such job")
            return
        kind = self._reactions.get(failure.name)
        if kind is None:
            raise UnfitFailureError("this version has no such reaction")
        if failure.fact != fact_name(kind.fact):
            raise UnfitFailureError(f"it reacts to {fact_name(kind.fact)}, this is {failure.fact}")
        try:
            msgspec.json.decode(failure.data or "", type=kind.fact)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise UnfitFailureError(f"its data are no {failure.fact}: {error}") from None


def describe(failure: Failure) -> str:
    """Return a failure as one line."""
    about = (
        f"{failure.aggregate} #{failure.number}" if failure.aggregate else f"{failure.ref} {failure.job_id}"
    )
    try:
        at = to_timestamp(failure.failed_at_ms)
    except (ValueError, OverflowError, OSError):  # edited by hand
        at = f"{failure.failed_at_ms} ms"
    return (
        f"{failure.failure_id} {failure.name} {about} {at} after {failure.attempts} attempts: {failure.error}"
    )
