"""Jobs: calls to other machines, made outside any transaction and without a lock.

A turn leases a job (its own short transaction), makes the call, and commits what `finish` records together with the
job's removal, if the lease is still its own. Killed before the call, in it or after it, the lease ends and another
worker makes the call again, with the same job id: the callee's idempotency key. Killed after the last commit, the job
is gone. A worker that is told to end gives its jobs back. Leases that end without a word are counted, so a job that
kills its worker is given up, too.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import structlog

from handlers.contract import Outcome, Stores, tool_of
from handlers.domain import Job, JobKind
from protocols.errors import Fault, TemporarilyUnavailable
from protocols.values import now_instant
from server.commands.pipeline import Pipeline
from server.worker.dispatcher import Dispatcher
from server.worker.retries import UNREPORTED_MAX, WorkerKillerError, describe, is_mistake, wait_after
from storage.engines.postgres import RACE, RETRIES, Connection, Database
from storage.platform.jobs_postgres import (
    LeasedJob,
    claim_job,
    delete_job,
    give_up_job,
    next_due,
    postpone_job,
)

LEASE_MARGIN_S = 10.0
"""How much longer than its call may take a job is leased: for what comes before and after the call."""

T = TypeVar("T")
_log = structlog.get_logger()


class LostLeaseError(Exception):
    """Somebody else has the job by now; what this attempt found is dropped."""


class Context:
    """What a job's call may reach."""

    def __init__(self, database: Database, tools: Mapping[type, Any]) -> None:
        """Lend connections of this database, and these tools."""
        self._database = database
        self._tools = tools

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """Return a connection for one statement or two. Raises TemporarilyUnavailable when there is none."""
        return self._database.connection()

    def need(self, kind: type[T]) -> T:
        """Return a tool."""
        return tool_of(self._tools, kind)


class Jobs:
    """The jobs of one worker process."""

    def __init__(
        self,
        database: Database,
        pipeline: Pipeline,
        kinds: Mapping[str, JobKind],
        tools: Mapping[type, Any],
        wake_others: Callable[[Collection[str]], None] = lambda _names: None,
        count_failure: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """Prepare; `dispatcher.run` works until cancelled. `kinds` are the jobs by their stored names."""
        self._database = database
        self._pipeline = pipeline
        self._kinds = kinds
        self._context = Context(database, tools)
        self._count_failure = count_failure
        lanes = {name: kind.at_once_max for name, kind in kinds.items()}
        self.dispatcher = Dispatcher(database, next_due, self.turn, lanes, wake_others)

    async def turn(self, name: str, on_crowd: Callable[[], None] = lambda: None) -> bool:
        """Do the next job of a kind; False when none was due. Raises Fault when the database is away."""
        kind = self._kinds[name]
        now_ms = now_instant()
        until_ms = now_ms + int((kind.timeout_s + LEASE_MARGIN_S) * 1000)
        async with self._database.connection() as db:
            leased = await claim_job(db, name, now_ms, until_ms)
        if leased is None:
            return False
        on_crowd()
        try:
            await self._attempt(kind, leased)
        except LostLeaseError:
            _log.warning("job_lost", name=name, job_id=str(leased.job_id), attempt=leased.attempts)
        except asyncio.CancelledError:
            async with (
                self._database.connection() as db
            ):  # this worker leaves; another need not wait for the lease
                await postpone_job(db, leased, now_instant())
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, the job waits or is given up
            await self._put_off(name, leased, error)
        return True

    async def _attempt(self, kind: JobKind, leased: LeasedJob) -> None:
        """Make the call and commit its result. Raises LostLeaseError, Fault, and what the kind raises."""
        if leased.unreported > UNREPORTED_MAX:
            raise WorkerKillerError(f"{leased.unreported - 1} workers ended while they made this call")
        job = Job(job_id=leased.job_id, ref=leased.ref, attempt=leased.attempts)
        try:
            async with asyncio.timeout(kind.timeout_s):
                result = await kind.run(job, self._context)
        except TimeoutError as error:
            raise TemporarilyUnavailable(f"the call took longer than {kind.timeout_s:g} s") from error

        async def finish(stores: Stores, now_ms: int) -> Sequence[Outcome]:
            if not await delete_job(stores.db, leased):
                raise LostLeaseError
            return [await kind.finish(job, result, stores, now_ms)]

        for attempt in range(1, RETRIES + 1):
            try:
                await self._pipeline.commit(finish)
            except RACE:
                if attempt == RETRIES:
                    raise
            else:
                break

    async def _put_off(self, name: str, leased: LeasedJob, error: Exception) -> None:
        """Have a job that failed wait, or give it up. Raises Fault when the database itself is away."""
        now_ms = now_instant()
        wait_ms = wait_after(leased.attempts, leased.mistakes + is_mistake(error), error)
        _log.warning(
            "job_failed",
            name=name,
            job_id=str(leased.job_id),
            attempt=leased.attempts,
            given_up=wait_ms is None,
            exc_info=None if isinstance(error, Fault) else error,
        )
        async with self._database.connection() as db:
            if wait_ms is None:
                await give_up_job(db, leased, describe(error), now_ms)
            else:
                await postpone_job(db, leased, now_ms + wait_ms, is_mistake=is_mistake(error))
        self._count_failure(name)
