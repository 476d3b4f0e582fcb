"""The timer loops on real PostgreSQL: on time, a crowd on several connections, nobody starved by anybody."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from handlers.contract import Outcome, Timer
from protocols.values import new_id, now_instant
from server.commands.pipeline import Pipeline
from server.worker import timers as timers_module
from server.worker.timers import Timers
from storage.engines.postgres import Database, open_database
from storage.engines.tasks import end_tasks
from tests.support.domains import lane, urgent_lane
from tests.support.waiting import until

INSERT = "INSERT INTO timers (due_at_ms, kind, ref) SELECT $1, $2, r FROM unnest($3::uuid[]) AS u (r)"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def opened(database: str) -> AsyncIterator[Database]:
    made = await open_database(database)
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pipeline(opened: Database, redis: Redis) -> Pipeline:
    return Pipeline(opened, redis, "epoch", lambda _publications: None, [])


class Bells:
    """Timer handlers that note who was called, and when."""

    def __init__(self) -> None:
        self.rung: Counter[object] = Counter()
        self.batches: list[int] = []
        self.prepared: list[object] = []
        self.at_once = 0
        self.most_at_once = 0
        self.early = 0
        self.due_at_ms = 0

    async def ring(self, refs, stores, now_ms):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await stores.db.fetchval("SELECT pg_sleep(0.01)")
        self.at_once -= 1
        self.early += now_ms < self.due_at_ms
        self.rung.update(refs)
        self.batches.append(len(refs))
        return []

    async def prepare(self, refs, stores):
        self.prepared += refs


@pytest.fixture
def bells() -> Bells:
    return Bells()


async def running(timers: Timers, condition) -> None:
    job = asyncio.create_task(timers.run())
    try:
        await until(condition)
    finally:
        await end_tasks([job])


async def test_a_punctual_crowd_is_prepared_and_runs_once_each_on_several_connections(
    opened, pipeline, pool, bells, monkeypatch
):
    monkeypatch.setattr(timers_module, "URGENT_BATCH", 20)
    refs = [new_id() for _ in range(200)]
    bells.due_at_ms = now_instant() + 600
    await pool.execute(INSERT, bells.due_at_ms, "bell", refs)
    timers = Timers(opened, pipeline, urgent_lane({"bell": bells.ring}, bells.prepare))
    await running(timers, lambda: len(bells.rung) == 200)
    assert set(bells.rung.values()) == {1}
    assert bells.early == 0
    assert set(bells.prepared) == set(refs)
    assert max(bells.batches) == 20
    assert bells.most_at_once == timers_module.LANES
    assert await pool.fetchval("SELECT count(*) FROM timers WHERE kind = 'bell'") == 0


async def test_lateness_is_told_for_each_timer(opened, pipeline, pool, bells):
    late = []
    await pool.execute(INSERT, now_instant() - 50, "bell", [new_id() for _ in range(3)])
    timers = Timers(opened, pipeline, {"bells": lane({"bell": bells.ring})}, late.append)
    await running(timers, lambda: len(late) == 3)
    assert all(0.05 <= each < 5 for each in late)


async def test_a_poisoned_timer_in_a_crowd_is_postponed_and_stops_nobody(
    opened, pipeline, pool, bells, monkeypatch
):
    monkeypatch.setattr(timers_module, "URGENT_BATCH", 5)
    refs = [new_id() for _ in range(23)]
    poison = refs[7]

    async def ring(called, stores, now_ms):
        if poison in called:
            raise ZeroDivisionError
        return await bells.ring(called, stores, now_ms)

    await pool.execute(INSERT, now_instant(), "bell", refs)
    timers = Timers(opened, pipeline, urgent_lane({"bell": ring}, bells.prepare))
    await running(timers, lambda: len(bells.rung) == 22)
    left = await pool.fetch("SELECT ref, due_at_ms, attempts FROM timers WHERE kind = 'bell'")
    assert [(row["ref"], row["attempts"]) for row in left] == [(poison, 1)]
    assert left[0]["due_at_ms"] > now_instant() - 5_000
    timer_id = await pool.fetchval(
        "UPDATE timers SET attempts = 2147483647, due_at_ms = 0 WHERE kind = 'bell' RETURNING timer_id"
    )
    await pipeline.postpone_timer(
        timer_id, timers_module.POSTPONE_S
    )  # the last wait repeats, and nothing overflows
    waits_until_ms, attempts = await pool.fetchrow(
        "SELECT due_at_ms, attempts FROM timers WHERE kind = 'bell'"
    )
    assert waits_until_ms - now_instant() > 3_500_000
    assert attempts <= 2147483647
    await pool.execute("DELETE FROM timers")


async def test_what_a_punctual_timer_wants_next_runs_without_a_notification(opened, pipeline, pool, bells):
    async def toll(refs, _stores, now_ms):
        return [Outcome(None, timers=[Timer("bell", ref, now_ms) for ref in refs])]

    monitor = asyncio.get_running_loop().time()
    await pool.execute(INSERT, now_instant(), "toll", [new_id()])
    timers = Timers(
        opened, pipeline, {**urgent_lane({"toll": toll}, bells.prepare), "bells": lane({"bell": bells.ring})}
    )
    await running(timers, lambda: len(bells.rung) == 1)
    assert asyncio.get_running_loop().time() - monitor < 0.9, "it did not wait for the look every second"


async def test_others_give_way_to_a_crowd_and_are_not_starved_by_it(
    opened, pipeline, bells, pool, monkeypatch
):
    monkeypatch.setattr(timers_module, "YIELD_MAX_S", 0.1)
    monkeypatch.setattr(timers_module, "URGENT_BATCH", 1)
    monkeypatch.setattr(timers_module, "LANES", 1)
    order = []

    async def urgent(refs, stores, _now_ms):
        order.append("urgent")
        await stores.db.fetchval("SELECT pg_sleep(0.02)")
        return []

    async def patient(refs, _stores, _now_ms):
        order.append("patient")
        return []

    await pool.execute(INSERT, now_instant() - 5, "first", [new_id() for _ in range(40)])
    await pool.execute(INSERT, now_instant() - 10, "later", [new_id()])
    timers = Timers(
        opened, pipeline, {**urgent_lane({"first": urgent}, bells.prepare), "later": lane({"later": patient})}
    )
    await running(timers, lambda: len(order) == 41)
    assert 1 <= order.index("patient") < 40


async def test_the_way_is_free_when_nothing_punctual_is_due(opened, pipeline, pool, bells):
    timers = Timers(opened, pipeline, urgent_lane({"bell": bells.ring}, bells.prepare))
    job = asyncio.create_task(timers.run())
    await asyncio.sleep(0.2)
    started = asyncio.get_running_loop().time()
    await timers.yield_to_urgent()
    assert asyncio.get_running_loop().time() - started < 0.1
    job.cancel()
    await asyncio.gather(job, return_exceptions=True)
