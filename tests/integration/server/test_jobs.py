"""Jobs on real PostgreSQL: called without a lock, again with the same id after a death, the result kept once."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from handlers.contract import Event, JobRequest, Outcome
from handlers.domain import JobKind
from protocols.errors import TemporarilyUnavailable
from protocols.values import new_id
from server.commands.pipeline import Pipeline
from server.worker import retries
from server.worker.jobs import Jobs
from storage.engines.postgres import Database, open_database
from storage.engines.tasks import end_tasks
from storage.platform.events_postgres import read_events
from tests.support.reacting import pipeline_of, until

NAME = "things.call"


class Callee:
    """A machine outside: notes who calls, and does what the test wants."""

    def __init__(self) -> None:
        self.calls: list[tuple[UUID, UUID, int]] = []
        self.finished: list[object] = []
        self.act = self.answer
        self.called = asyncio.Event()

    async def answer(self, _job, _context):
        return "answer"

    async def run(self, job, context):
        self.calls.append((job.job_id, job.ref, job.attempt))
        self.called.set()
        return await self.act(job, context)

    async def finish(self, job, result, stores, now_ms):
        self.finished.append(result)
        return Outcome(None, [Event(f"things:{job.ref}", "called", {"result": result})])


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def opened(database: str) -> AsyncIterator[Database]:
    made = await open_database(database)
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pipeline(opened: Database, redis: Redis) -> Pipeline:
    return pipeline_of(opened, redis)


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def emptied(pool, pipeline) -> None:
    await pool.execute("TRUNCATE jobs, failures")


@pytest.fixture
def callee() -> Callee:
    return Callee()


@pytest.fixture
def jobs(opened, pipeline, callee) -> Jobs:
    kind = JobKind(name="call", run=callee.run, finish=callee.finish, timeout_s=5.0)
    return Jobs(opened, pipeline, {NAME: kind}, {})


async def ask(pipeline: Pipeline, ref: UUID) -> None:
    async def decide(_stores, _now_ms):
        return [Outcome(None, jobs=[JobRequest(NAME, ref)])]

    await pipeline.commit(decide)


async def end_lease(pool) -> None:
    await pool.execute("UPDATE jobs SET due_at_ms = 0")


async def test_a_job_is_called_once_and_its_result_recorded(pool, pipeline, jobs, callee):
    ref = new_id()
    await ask(pipeline, ref)
    assert await jobs.turn(NAME)
    assert not await jobs.turn(NAME)
    ((_, called_for, attempt),) = callee.calls
    assert (called_for, attempt) == (ref, 1)
    assert len(await read_events(pool, f"things:{ref}", 0, 10)) == 1
    assert await pool.fetchval("SELECT count(*) FROM jobs") == 0


async def test_no_lock_is_held_while_the_call_is_made(pool, pipeline, jobs, callee):
    await ask(pipeline, new_id())

    async def look(_job, context):
        async with context.connection() as db:
            assert await db.fetchval("SELECT 1") == 1
        await pool.execute("SELECT FROM jobs FOR UPDATE NOWAIT")
        return await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state = 'idle in transaction'"
        )

    callee.act = look
    await jobs.turn(NAME)
    assert callee.finished == [0]


async def test_a_call_that_nobody_ended_is_made_again_with_the_same_id(pool, pipeline, jobs, callee):
    ref = new_id()
    await ask(pipeline, ref)
    never = asyncio.Event()
    callee.act = lambda _job, _context: never.wait()
    first = asyncio.create_task(jobs.turn(NAME))
    await callee.called.wait()
    assert not await jobs.turn(NAME)  # leased
    first.cancel()  # a worker that is told to end
    await asyncio.gather(first, return_exceptions=True)
    callee.act = callee.answer
    assert await jobs.turn(NAME)
    assert [attempt for _, _, attempt in callee.calls] == [1, 2]
    assert len({job_id for job_id, _, _ in callee.calls}) == 1
    assert len(await read_events(pool, f"things:{ref}", 0, 10)) == 1


async def test_the_result_of_a_lost_lease_is_dropped(pool, pipeline, jobs, callee):
    ref = new_id()
    await ask(pipeline, ref)
    may_answer = asyncio.Event()

    async def slow(job, _context):
        if job.attempt == 1:
            await may_answer.wait()
        return job.attempt

    callee.act = slow
    first = asyncio.create_task(jobs.turn(NAME))
    await callee.called.wait()
    await end_lease(pool)
    await jobs.turn(NAME)
    may_answer.set()
    await first
    assert callee.finished == [2]
    assert len(await read_events(pool, f"things:{ref}", 0, 10)) == 1


@pytest.mark.parametrize("cause", ["mistake", "away", "timeout", "unwritable"])
async def test_a_call_that_fails_waits_and_only_a_mistake_is_given_up(pool, pipeline, opened, callee, cause):
    failed: list[str] = []
    timeout_s = 0.01 if cause == "timeout" else 5.0
    kind = JobKind(name="call", run=callee.run, finish=callee.finish, timeout_s=timeout_s)
    jobs = Jobs(opened, pipeline, {NAME: kind}, {}, count_failure=failed.append)

    async def fail(_job, _context):
        if cause == "timeout":
            await asyncio.Event().wait()
        if cause == "unwritable":
            return object()
        raise TemporarilyUnavailable("away") if cause == "away" else ValueError("wrong")

    callee.act = fail
    await ask(pipeline, new_id())
    for _ in range(len(retries.WAITS_S) + 1):
        assert await pool.fetchval("SELECT count(*) FROM jobs") == 1
        await end_lease(pool)
        await jobs.turn(NAME)
    assert len(failed) == len(retries.WAITS_S) + 1
    is_given_up = cause in {"mistake", "unwritable"}
    assert await pool.fetchval("SELECT count(*) FROM failures") == is_given_up
    assert await pool.fetchval("SELECT count(*) FROM jobs") == (not is_given_up)


async def test_a_mistake_after_many_outages_is_the_first_one_of_a_job(pool, pipeline, jobs, callee):
    async def fail(_job, _context):
        raise ValueError("wrong")

    callee.act = fail
    await ask(pipeline, new_id())
    await pool.execute("UPDATE jobs SET attempts = 2147483647")
    for mistakes in range(1, len(retries.WAITS_S) + 1):
        await end_lease(pool)
        await jobs.turn(NAME)
        assert await pool.fetchval("SELECT mistakes FROM jobs") == mistakes
    await end_lease(pool)
    await jobs.turn(NAME)
    assert await pool.fetchval("SELECT attempts FROM failures") == 2147483652


async def test_a_job_under_which_worker_after_worker_ends_is_given_up(pool, pipeline, jobs, callee):
    await ask(pipeline, new_id())
    await pool.execute("UPDATE jobs SET unreported = $1, attempts = 9", retries.UNREPORTED_MAX)
    await jobs.turn(NAME)
    assert callee.calls == []
    assert "workers ended" in await pool.fetchval("SELECT error FROM failures")


async def test_the_dispatcher_does_as_many_at_a_time_as_the_kind_allows(pool, pipeline, opened, callee):
    at_once = most = 0

    async def count(_job, _context):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        for _ in range(20):
            await pool.fetchval("SELECT 1")
        at_once -= 1
        return "x"

    callee.act = count
    kind = JobKind(name="call", run=callee.run, finish=callee.finish, at_once_max=3)
    jobs = Jobs(opened, pipeline, {NAME: kind}, {})
    for _ in range(12):
        await ask(pipeline, new_id())
    task = asyncio.create_task(jobs.dispatcher.run())
    try:

        async def is_done() -> bool:
            return len(callee.finished) == 12

        await until(is_done)
    finally:
        await end_tasks([task])
    assert most == 3


async def test_a_job_that_becomes_due_later_does_not_wait_for_a_call_that_hangs(
    pool, pipeline, opened, callee
):
    never = asyncio.Event()
    hanging, retried = new_id(), new_id()

    async def hang(job, _context):
        if job.ref == hanging:
            await never.wait()
        return "done"

    callee.act = hang
    kind = JobKind(name="call", run=callee.run, finish=callee.finish, timeout_s=600.0)
    jobs = Jobs(opened, pipeline, {NAME: kind}, {})
    await ask(pipeline, hanging)
    task = asyncio.create_task(jobs.dispatcher.run())
    try:
        await callee.called.wait()
        await ask(pipeline, retried)  # nobody is told

        async def is_done() -> bool:
            return callee.finished == ["done"]

        await until(is_done)
    finally:
        await end_tasks([task])
