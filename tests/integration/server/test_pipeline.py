"""The pipeline on real PostgreSQL: one transaction per command or batch, keys with the effect, fan-out after commit."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import msgspec
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from handlers.contract import ANONYMOUS, Caller, Outcome, Stores
from protocols.control import CONTROL_CHANNEL, DisconnectUser, decode_controls
from protocols.errors import KeyRequired, KeyReused, NotFound, TemporarilyUnavailable
from protocols.topics import Entry
from protocols.values import new_id
from server.commands.idempotency import Answer
from server.commands.pipeline import Pipeline, TimersFailedError
from storage.engines.postgres import open_database
from storage.platform.events_postgres import read_epoch, read_events
from tests.support.counters import (
    ADD_UP,
    ADD_UP_TOGETHER,
    READ_SUM,
    ROUTES,
    TAKE_ONCE,
    TAKE_ONCE_TOGETHER,
    AddUp,
    ReadSum,
    create_counters,
)


class Published(list):
    """Collects what the pipeline hands to the bus."""

    def take(self, publications: list[tuple[str, list[Entry]]]) -> None:
        self.extend(publications)

    def numbers(self, channel: str) -> list[int]:
        return [entry.number for name, entries in self if name == channel for entry in entries]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pipeline(database: str, redis: Redis, pool: asyncpg.Pool) -> AsyncIterator[Pipeline]:
    opened = await open_database(database)
    async with opened.connection() as db:
        epoch = await read_epoch(db)
    published = Published()
    made = Pipeline(opened, redis, epoch, published.take, ROUTES)
    made.published = published  # type: ignore[attr-defined]
    made.start()
    yield made
    await made.close()
    await opened.close()


@pytest.fixture
def caller() -> Caller:
    return Caller(user_id=new_id(), session_id=new_id(), roles=frozenset({"user"}))


def sum_of(answer: Answer) -> int:
    return msgspec.json.decode(answer.body)["value"]


@pytest.mark.parametrize("route", [ADD_UP, ADD_UP_TOGETHER], ids=lambda r: r.verb)
class TestBothShapes:
    async def test_the_effect_the_event_and_the_answer_come_from_one_transaction(
        self, route, pipeline, pool, caller
    ):
        counter_id = new_id()
        await create_counters(pool, counter_id)
        answer = await pipeline.run(route, AddUp(counter_id, 5, "a"), caller)
        assert sum_of(answer) == 5
        rows = await read_events(pool, f"auctions:{counter_id}", 0, 10)
        assert [(number, msgspec.json.decode(data)["type"]) for number, data, _ in rows] == [(1, "added")]
        assert pipeline.published.numbers(f"auctions:{counter_id}") == [1]
        assert pipeline.published.numbers(f"ticker:{counter_id}") == [5]

    async def test_controls_leave_after_the_commit_and_not_without_it(self, route, pipeline, pool, caller):
        counter_id = new_id()
        await create_counters(pool, counter_id)

        def heard() -> list:
            entries = [e for name, some in pipeline.published if name == CONTROL_CHANNEL for e in some]
            return [control for entry in entries for control in decode_controls(entry.data)]

        with pytest.raises(NotFound):
            await pipeline.run(route, AddUp(new_id(), 888, "a"), caller)
        assert DisconnectUser(str(caller.id), 3503, "enough") not in heard()
        await pipeline.run(route, AddUp(counter_id, 888, "b"), caller)
        assert heard().count(DisconnectUser(str(caller.id), 3503, "enough")) == 1

    async def test_a_repeated_key_has_one_effect_and_the_first_answer(self, route, pipeline, pool, caller):
        counter_id = new_id()
        await create_counters(pool, counter_id)
        first = await pipeline.run(route, AddUp(counter_id, 5, "same"), caller)
        again = await pipeline.run(route, AddUp(counter_id, 5, "same"), caller)
        assert (first.body, again.body) == (first.body, first.body)
        assert (first.replayed, again.replayed) == (False, True)
        assert await pool.fetchval("SELECT value FROM counters WHERE counter_id = $1", counter_id) == 5

    async def test_a_key_with_another_payload_is_refused(self, route, pipeline, pool, caller):
        counter_id = new_id()
        await create_counters(pool, counter_id)
        await pipeline.run(route, AddUp(counter_id, 5, "k"), caller)
        with pytest.raises(KeyReused):
            await pipeline.run(route, AddUp(counter_id, 6, "k"), caller)

    async def test_concurrent_repeats_of_a_key_have_one_effect(self, route, pipeline, pool, caller):
        counter_id = new_id()
        await create_counters(pool, counter_id)
        tries = [pipeline.run(route, AddUp(counter_id, 5, "race"), caller) for _ in range(20)]
        results = await asyncio.gather(*tries, return_exceptions=True)
        answers = [result for result in results if isinstance(result, Answer)]
        assert {sum_of(answer) for answer in answers} == {5}
        assert sum(not answer.replayed for answer in answers) == 1
        assert await pool.fetchval("SELECT value FROM counters WHERE counter_id = $1", counter_id) == 5

    async def test_a_refusal_leaves_no_trace(self, route, pipeline, pool, caller):
        unknown = new_id()
        with pytest.raises(NotFound):
            await pipeline.run(route, AddUp(unknown, 5, "k1"), caller)
        assert await read_events(pool, f"auctions:{unknown}", 0, 10) == []
        assert await pool.fetchval("SELECT count(*) FROM idempotency WHERE user_id = $1", caller.user_id) == 0

    async def test_a_refused_key_may_be_tried_again(self, route, pipeline, pool, caller):
        counter_id = new_id()
        with pytest.raises(NotFound):
            await pipeline.run(route, AddUp(counter_id, 5, "later"), caller)
        await create_counters(pool, counter_id)
        assert sum_of(await pipeline.run(route, AddUp(counter_id, 5, "later"), caller)) == 5

    async def test_keys_of_two_users_are_strangers(self, route, pipeline, pool, caller):
        counter_id = new_id()
        await create_counters(pool, counter_id)
        await pipeline.run(route, AddUp(counter_id, 5, "k"), caller)
        other = Caller(user_id=new_id())
        assert sum_of(await pipeline.run(route, AddUp(counter_id, 7, "k"), other)) == 12

    async def test_a_missing_key_is_refused(self, route, pipeline, caller):
        with pytest.raises(KeyRequired):
            await pipeline.run(route, AddUp(new_id(), 5), caller)

    async def test_events_of_one_stream_are_numbered_without_gaps_under_concurrency(
        self, route, pipeline, pool, caller
    ):
        counter_id = new_id()
        await create_counters(pool, counter_id)
        await asyncio.gather(*(pipeline.run(route, AddUp(counter_id, 1, f"n{n}"), caller) for n in range(50)))
        rows = await read_events(pool, f"auctions:{counter_id}", 0, 100)
        assert [number for number, _, _ in rows] == list(range(1, 51))
        assert sorted(pipeline.published.numbers(f"auctions:{counter_id}")) == list(range(1, 51))


async def test_what_a_handler_wrote_before_it_refused_vanishes(pipeline, pool, caller):
    counter_id = new_id()
    await create_counters(pool, counter_id)
    with pytest.raises(NotFound):
        await pipeline.run(ADD_UP, AddUp(counter_id, -5, "k"), caller)
    assert await pool.fetchval("SELECT value FROM counters WHERE counter_id = $1", counter_id) == 0


async def test_a_command_that_breaks_its_transaction_harms_no_other_of_its_batch(pipeline, pool, caller):
    counter_id = new_id()
    await create_counters(pool, counter_id)
    amounts = [1, 1, 999_999, 1]
    results = await asyncio.gather(
        *(
            pipeline.run(ADD_UP_TOGETHER, AddUp(counter_id, a, f"b{i}"), caller)
            for i, a in enumerate(amounts)
        ),
        return_exceptions=True,
    )
    assert [sum_of(r) for r in results if isinstance(r, Answer)] == [1, 2, 3]
    assert isinstance(results[2], asyncpg.DivisionByZeroError)
    assert await pool.fetchval("SELECT value FROM counters WHERE counter_id = $1", counter_id) == 3


async def test_two_processes_with_one_key_have_one_effect(database, redis, pool, pipeline, caller):
    counter_id = new_id()
    await create_counters(pool, counter_id)
    opened = await open_database(database)
    other = Pipeline(opened, redis, "e", lambda _: None, ROUTES)
    other.start()
    for n in range(20):
        await asyncio.gather(
            pipeline.run(ADD_UP_TOGETHER, AddUp(counter_id, 1, f"x{n}"), caller),
            other.run(ADD_UP_TOGETHER, AddUp(counter_id, 1, f"x{n}"), caller),
        )
    assert await pool.fetchval("SELECT value FROM counters WHERE counter_id = $1", counter_id) == 20
    await other.close()
    await opened.close()


async def test_a_query_needs_no_transaction_and_answers(pipeline, pool):
    counter_id = new_id()
    await create_counters(pool, counter_id)
    assert sum_of(await pipeline.run(READ_SUM, ReadSum(counter_id), ANONYMOUS)) == 0


async def test_timers_run_once_with_their_effect_when_due(pipeline, pool, caller):
    counter_id = new_id()
    await create_counters(pool, counter_id)
    await pipeline.run(ADD_UP, AddUp(counter_id, 777, "t"), caller)
    rung: list[object] = []

    async def ring(refs, stores: Stores, now_ms: int) -> list[Outcome]:
        rung.extend(refs)
        return [Outcome(None) for _ in refs]

    late_ms: list[int] = []
    async with asyncio.timeout(30):
        while not late_ms:
            late_ms = await pipeline.run_timers("ring", ring, 10)
    assert len(late_ms) == 1
    assert late_ms[0] >= 0, "not before it is due"
    assert rung == [counter_id]
    assert await pipeline.run_timers("ring", ring, 10) == []


async def test_a_timer_whose_handler_fails_stays_and_is_postponed(pipeline, pool, caller):
    counter_id = new_id()
    await create_counters(pool, counter_id)
    await pipeline.run(ADD_UP, AddUp(counter_id, 777, "f"), caller)
    await asyncio.sleep(0.06)

    async def fail(refs, stores: Stores, now_ms: int) -> list[Outcome]:
        raise ValueError("poison")

    with pytest.raises(TimersFailedError) as failure:
        await pipeline.run_timers("ring", fail, 10)
    assert isinstance(failure.value.__cause__, ValueError)
    (timer_id,) = failure.value.timer_ids
    await pipeline.postpone_timer(timer_id, [100, 200])
    row = await pool.fetchrow("SELECT due_at_ms, attempts FROM timers WHERE ref = $1", counter_id)
    assert row["attempts"] == 1
    await pipeline.postpone_timer(timer_id, [100, 200])
    assert await pool.fetchval("SELECT attempts FROM timers WHERE ref = $1", counter_id) == 1


@pytest.mark.parametrize("route", [TAKE_ONCE, TAKE_ONCE_TOGETHER], ids=lambda r: r.verb)
async def test_a_repeat_that_waited_for_the_first_ones_lock_is_answered_like_it(
    route, database, redis, pool, pipeline, caller
):
    """The second process judges after the first has committed, and would refuse; the key says it is the same call."""
    opened = await open_database(database)
    other = Pipeline(opened, redis, "e", lambda _: None, ROUTES)
    other.start()
    for n in range(20):
        counter_id = new_id()
        await create_counters(pool, counter_id)
        results = await asyncio.gather(
            pipeline.run(route, AddUp(counter_id, 1, f"t{n}"), caller),
            other.run(route, AddUp(counter_id, 1, f"t{n}"), caller),
        )
        assert {sum_of(answer) for answer in results} == {1}
        assert sorted(answer.replayed for answer in results) == [False, True]
        with pytest.raises(NotFound):
            await pipeline.run(route, AddUp(counter_id, 1, f"other{n}"), caller)
    await other.close()
    await opened.close()


# -- a call after the commit -----------------------------------------------------------------------------------


def completed(function):
    return replace(ADD_UP, complete=function)


async def test_a_call_after_the_commit_answers_each_repeat_and_is_kept_nowhere(pipeline, pool, caller):
    counter_id, seen = new_id(), []
    await create_counters(pool, counter_id)

    async def call(reply, who, completion):
        async with completion.connection() as db:
            value = await db.fetchval("SELECT value FROM counters WHERE counter_id = $1", counter_id)
        seen.append((reply.value, who.id, value))
        return replace_value(reply, 1_000 + len(seen))

    route = completed(call)
    answers = [await pipeline.run(route, AddUp(counter_id, 5, "once"), caller) for _ in range(2)]
    assert [sum_of(answer) for answer in answers] == [1_001, 1_002]
    assert [answer.replayed for answer in answers] == [False, True]
    assert seen == [(5, caller.id, 5)] * 2  # committed before, and once
    kept = await pool.fetchval("SELECT reply FROM idempotency WHERE user_id = $1", caller.id)
    assert msgspec.json.decode(kept)["value"] == 5


async def test_a_call_that_fails_leaves_the_command_done_and_a_repeat_goes_on(pipeline, pool, caller):
    counter_id, away = new_id(), [True]
    await create_counters(pool, counter_id)

    async def call(reply, _who, completion):
        if away:
            raise TemporarilyUnavailable
        tries = []

        async def decide(_stores, _now_ms):
            tries.append(1)
            if len(tries) == 1:
                raise asyncpg.DeadlockDetectedError("again")
            return [Outcome(None)]

        await completion.commit(decide)
        return replace_value(reply, len(tries))

    route = completed(call)
    with pytest.raises(TemporarilyUnavailable):
        await pipeline.run(route, AddUp(counter_id, 5, "later"), caller)
    away.clear()
    assert sum_of(await pipeline.run(route, AddUp(counter_id, 5, "later"), caller)) == 2
    assert await pool.fetchval("SELECT value FROM counters WHERE counter_id = $1", counter_id) == 5


def test_a_grouped_route_makes_no_call_after_its_commit():
    with pytest.raises(AssertionError, match="no call after its commit"):
        replace(ADD_UP_TOGETHER, complete=replace_value)


def replace_value(reply, value):
    return msgspec.structs.replace(reply, value=value)
