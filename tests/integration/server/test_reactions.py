"""Reactions on real PostgreSQL: written with their fact, once each, in the order of their aggregate."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from functools import partial

import msgspec
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from handlers.contract import Event, Outcome
from handlers.domain import ReactionKind
from protocols.errors import Fault
from protocols.values import new_id, now_instant
from server.cli.replay import Replay, UnfitFailureError
from server.commands.outcomes import OutcomeWriter
from server.commands.pipeline import Pipeline
from server.process.metrics import Metrics
from server.worker import retries
from server.worker.figures import copy_work
from server.worker.reactions import BATCH, Reactions
from storage.engines.nats import NatsLink
from storage.engines.postgres import Database, open_database
from storage.platform import reactions_postgres
from storage.platform.events_postgres import read_events
from storage.platform.failures_postgres import count_failures
from storage.platform.jobs_postgres import claim_job, give_up_job, insert_jobs
from storage.platform.reactions_postgres import WaitingReaction, give_up_reaction, lease_queue
from storage.platform.wakes_nats import Wakes, follow_wakes
from tests.support.reacting import (
    EFFECTS,
    KINDS,
    ThingHappened,
    effects_of,
    pipeline_of,
    running,
    state,
    thing,
    until,
)

NAME = "things.on_thing_happened"
OTHER = "others.on_thing_happened"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def opened(database: str, pool) -> AsyncIterator[Database]:
    await pool.execute(EFFECTS)
    made = await open_database(database)
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pipeline(opened: Database, redis: Redis) -> Pipeline:
    return pipeline_of(opened, redis)


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def emptied(pool, pipeline) -> None:
    await pool.execute("TRUNCATE reactions, reaction_queues, failures, effects")


@pytest.fixture
def reactions(opened, pipeline, monkeypatch) -> Reactions:
    """The reactions of a worker that has run for a while."""
    monkeypatch.setattr("server.worker.reactions.ALONE_AT_FIRST", 0)
    return Reactions(opened, pipeline, KINDS)


async def drain(reactions: Reactions, name: str = NAME) -> None:
    while await reactions.turn(name):
        pass


async def waiting(pool) -> int:
    return await pool.fetchval(
        "SELECT (SELECT count(*) FROM reactions) + (SELECT count(*) FROM reaction_queues)"
    )


async def make_due(pool) -> None:
    await pool.execute("UPDATE reaction_queues SET due_at_ms = 0")


async def test_a_fact_is_kept_and_each_of_its_reactions_gets_it_once(pool, pipeline, reactions):
    thing_id = new_id()
    await state(pipeline, thing(thing_id, "a"), thing(thing_id, "b"))
    (first, second) = await read_events(pool, f"facts:things:{thing_id}", 0, 10)
    assert msgspec.json.decode(first[1]) == {"thing_id": str(thing_id), "label": "a", "wait_s": 0.0}
    assert second[0] == 2
    await drain(reactions)
    assert await effects_of(pool, "things", f"things:{thing_id}") == [1, 2]
    assert await effects_of(pool, "others", f"things:{thing_id}") == []
    await drain(reactions, OTHER)
    assert await effects_of(pool, "others", f"things:{thing_id}") == [1, 2]
    assert await waiting(pool) == 0


async def test_an_outcome_without_facts_pays_no_statement_for_them(pool):
    said: list[str] = []
    plain = Outcome(None, [Event(f"things:{new_id()}", "happened", {}, 1)])
    writer = OutcomeWriter(KINDS)
    async with pool.acquire() as db, db.transaction():
        await writer.write(db, [Outcome(None, facts=[thing(new_id())])], 5)  # the driver asks for types once
        with db.query_logger(lambda query: said.append(query.query)):
            await writer.write(db, [plain], 5)
            assert said == []  # its events are a COPY
            await writer.write(db, [Outcome(None, facts=[thing(new_id())])], 5)
    assert len(said) == 3  # a number for the fact, its reactions, their queues


async def test_without_a_commit_there_is_neither_fact_nor_reaction(pool, pipeline):
    thing_id = new_id()

    async def fail(_db, _now_ms):
        raise RuntimeError

    async def decide(_stores, _now_ms):
        return [Outcome(None, facts=[thing(thing_id)])]

    with pytest.raises(RuntimeError):
        await pipeline.commit(decide, fail)
    assert await waiting(pool) == 0
    assert await read_events(pool, f"facts:things:{thing_id}", 0, 10) == []


async def test_a_failing_row_waits_holds_up_its_queue_alone_and_is_given_up(
    pool, pipeline, reactions, monkeypatch
):
    monkeypatch.setattr(retries, "WAITS_S", (600, 700, 800, 900))
    failed: list[str] = []
    reactions._count_failure = failed.append
    poisoned, healthy = new_id(), new_id()
    await state(pipeline, thing(poisoned, "broken"), thing(poisoned, "next"), thing(healthy))
    await drain(reactions)
    await drain(reactions, OTHER)
    assert await effects_of(pool, "things", f"things:{healthy}") == [1]
    assert await effects_of(pool, "things", f"things:{poisoned}") == []
    due_at_ms, attempts = await pool.fetchrow(
        "SELECT due_at_ms, attempts FROM reaction_queues WHERE reaction = $1", NAME
    )
    assert attempts == 1
    assert 0 < due_at_ms - now_instant() <= 600_000
    for _ in retries.WAITS_S:
        await make_due(pool)
        await drain(reactions)
    assert await effects_of(pool, "things", f"things:{poisoned}") == [2]
    row = await pool.fetchrow("SELECT * FROM failures WHERE name = $1", NAME)
    assert (row["aggregate"], row["number"], row["attempts"]) == (f"things:{poisoned}", 1, 5)
    assert row["error"] == "ValueError: token [redacted] is broken"
    assert failed.count(NAME) == 5


@pytest.mark.parametrize("label", ["broken", "away", "unwritable"])
async def test_a_row_that_fails_in_a_batch_harms_no_other_of_it(pool, pipeline, reactions, label):
    others = [new_id() for _ in range(BATCH - 1)]
    await state(pipeline, thing(new_id(), label), *map(thing, others))
    await drain(reactions)
    for other in others:
        assert await effects_of(pool, "things", f"things:{other}") == [1]
    assert await pool.fetchval("SELECT count(*) FROM reactions WHERE reaction = $1", NAME) == 1


async def test_a_machine_that_is_away_is_waited_for_without_end(pool, pipeline, reactions):
    thing_id = new_id()
    await state(pipeline, thing(thing_id, "away"))
    for _ in range(10):
        await make_due(pool)
        await drain(reactions)
    assert await pool.fetchval("SELECT count(*) FROM failures") == 0
    assert await pool.fetchval("SELECT attempts FROM reaction_queues WHERE reaction = $1", NAME) == 10
    await pool.execute("UPDATE reactions SET data = json_build_object('thing_id', $1::text)", str(thing_id))
    await make_due(pool)
    await drain(reactions)
    assert await effects_of(pool, "things", f"things:{thing_id}") == [1]


async def test_a_mistake_after_many_outages_is_the_first_one(pool, pipeline, reactions):
    thing_id = new_id()
    await state(pipeline, thing(thing_id, "away"))
    for _ in range(6):
        await make_due(pool)
        await drain(reactions)
    await pool.execute("UPDATE reactions SET data = jsonb_set(data::jsonb, '{label}', '\"broken\"')")
    await make_due(pool)
    await drain(reactions)
    assert await pool.fetchval("SELECT count(*) FROM failures") == 0
    counted = await pool.fetchrow("SELECT attempts, mistakes FROM reaction_queues WHERE reaction = $1", NAME)
    assert tuple(counted) == (7, 1)


async def test_counts_at_the_end_of_their_type_stop_nothing(pool, pipeline, reactions):
    thing_id = new_id()
    await state(pipeline, thing(thing_id, "broken"))
    await pool.execute(
        "UPDATE reaction_queues SET attempts = 2147483647, mistakes = 2147483647, unreported = 1"
    )
    assert await reactions.turn(NAME)
    row = await pool.fetchrow("SELECT attempts, error FROM failures")
    assert (row["attempts"], row["error"]) == (2147483648, "ValueError: token [redacted] is broken")


async def test_a_new_worker_runs_rows_alone_and_notes_it_before(pool, pipeline, opened):
    first, second = new_id(), new_id()
    await state(pipeline, thing(first), thing(second))
    noted = []

    async def look(_record, _stores, _now_ms):
        found = await pool.fetch("SELECT unreported FROM reaction_queues WHERE reaction = $1", NAME)
        noted.append(sorted(row["unreported"] for row in found))
        return Outcome(None)

    kind = ReactionKind(name="on_thing_happened", fact=ThingHappened, handler=look)
    await drain(Reactions(opened, pipeline, {NAME: kind}))
    assert noted == [[0, 1], [1]]
    assert await pool.fetchval("SELECT count(*) FROM reaction_queues WHERE reaction = $1", NAME) == 0


async def test_a_row_under_which_worker_after_worker_ends_is_given_up_and_the_next_one_runs(
    pool, pipeline, opened
):
    killer = new_id()
    await state(pipeline, thing(killer, "broken"), thing(killer))
    async with opened.connection() as db:
        for _ in range(retries.UNREPORTED_MAX):
            assert await lease_queue(db, NAME, now_instant()) == f"things:{killer}"
    assert await effects_of(pool, "things", f"things:{killer}") == []
    await drain(Reactions(opened, pipeline, KINDS))
    assert "5 workers ended while they ran this" in await pool.fetchval("SELECT error FROM failures")
    assert await effects_of(pool, "things", f"things:{killer}") == [2]


@pytest.mark.parametrize("label", ["away", "ends"])
async def test_a_worker_that_lives_takes_its_note_back(pool, pipeline, opened, label):
    await state(pipeline, thing(new_id(), label, wait_s=3600 if label == "ends" else 0))
    turn = asyncio.create_task(Reactions(opened, pipeline, KINDS).turn(NAME))
    if label == "ends":

        async def is_noted() -> bool:
            return await pool.fetchval("SELECT count(*) FROM reaction_queues WHERE unreported = 1") == 1

        await until(is_noted)
        turn.cancel()
    await asyncio.gather(turn, return_exceptions=True)
    assert await pool.fetchval("SELECT max(unreported) FROM reaction_queues") == 0


async def test_new_fields_are_tolerated_and_a_fact_of_another_type_is_not(pool, pipeline, reactions):
    known, strange = new_id(), new_id()
    await state(pipeline, thing(known), thing(strange))
    await pool.execute(
        "UPDATE reactions SET data = json_build_object('thing_id', $1::text, 'new', 1) WHERE aggregate = $2",
        str(known),
        f"things:{known}",
    )
    await pool.execute("UPDATE reactions SET fact = 'thing_ended' WHERE aggregate = $1", f"things:{strange}")
    await drain(reactions)
    assert await effects_of(pool, "things", f"things:{known}") == [1]
    assert await effects_of(pool, "things", f"things:{strange}") == []


async def test_a_reaction_may_state_a_fact_that_it_reacts_to_itself(pool, pipeline, reactions):
    thing_id = new_id()
    await state(pipeline, thing(thing_id, "again"))
    await drain(reactions)
    assert await effects_of(pool, "things", f"things:{thing_id}") == [1, 2]


async def test_a_fact_whose_transaction_is_open_while_its_queue_empties_is_not_lost(
    pool, pipeline, reactions
):
    thing_id = new_id()
    await state(pipeline, thing(thing_id, "first"))
    writing, may_commit = asyncio.Event(), asyncio.Event()

    async def hold(_db, _now_ms):
        writing.set()
        await may_commit.wait()

    async def decide(_stores, _now_ms):
        return [Outcome(None, facts=[thing(thing_id, "second")])]

    writer = asyncio.create_task(pipeline.commit(decide, hold))
    await writing.wait()
    await reactions.turn(NAME)  # sees the first alone, and must not wait for the writer
    assert await effects_of(pool, "things", f"things:{thing_id}") == [1]
    may_commit.set()
    await writer
    await make_due(pool)
    await drain(reactions)
    assert await effects_of(pool, "things", f"things:{thing_id}") == [1, 2]
    assert await pool.fetchval("SELECT count(*) FROM reaction_queues WHERE reaction = $1", NAME) == 0


async def test_writers_and_workers_race_and_nothing_is_lost_doubled_or_turned_round(
    pool, pipeline, opened, reactions
):
    ids = [new_id() for _ in range(3)]

    async def write(count: int) -> None:
        for n in range(count):
            await state(pipeline, *(thing(ids[(n + k) % 3]) for k in range(2)))

    others = [Reactions(opened, pipeline, KINDS) for _ in range(2)]
    async with running(reactions, *others):
        pipeline._writer.wake = lambda names: [
            each.dispatcher.wake(name) for each in (reactions, *others) for name in names
        ]
        await asyncio.gather(*(write(24) for _ in range(3)))

        async def is_done() -> bool:
            return await waiting(pool) == 0

        await until(is_done)
    for name in ("things", "others"):
        for thing_id in ids:
            assert await effects_of(pool, name, f"things:{thing_id}") == list(range(1, 49))


async def test_a_claim_reads_few_rows_however_many_wait(pool, pipeline, reactions):
    hot = f"things:{new_id()}"
    await pool.execute(
        "INSERT INTO reactions SELECT $1, $2, n, 'thing_happened', 1, '{}' FROM generate_series(1, 50000) AS n",
        NAME,
        hot,
    )
    await pool.execute(
        "INSERT INTO reactions SELECT $1, 'things:' || n, 1, 'thing_happened', 1, '{}'"
        " FROM generate_series(1, 50000) AS n",
        NAME,
    )
    await pool.execute("INSERT INTO reaction_queues SELECT DISTINCT reaction, aggregate, 5 FROM reactions")
    await pool.execute("UPDATE reaction_queues SET due_at_ms = 1 WHERE aggregate = $1", hot)
    await pool.execute("ANALYZE reactions, reaction_queues")
    statements = {
        "claim_queues": (NAME, 10, 16),
        "read_first": (NAME, [hot, "things:1", "things:2"], 5),
        "lock_empty": (NAME, [hot, "things:1"]),
    }
    async with pool.acquire() as db:
        for statement, arguments in statements.items():
            async with db.transaction():
                text = getattr(reactions_postgres._sql, statement)
                plan = await db.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text}", *arguments)
                (tree,) = msgspec.json.decode(plan)
                blocks = tree["Plan"]["Shared Hit Blocks"] + tree["Plan"]["Shared Read Blocks"]
                assert blocks < 200, statement


async def test_nats_wakes_one_worker_and_without_nats_it_looks_by_itself(
    pool, pipeline, opened, redis, nats_url, monkeypatch
):
    woken: list[list[str]] = [[], []]
    links = [NatsLink(nats_url, f"worker-{n}") for n in range(2)]
    for link, names in zip(links, woken, strict=True):
        await until(partial(_is_connected, link))
        link.when_connected(partial(follow_wakes, on_work=names.append))  # connected already: begins now
        await asyncio.gather(*link._beginning)
        await link.ping()
    telling = pipeline_of(opened, redis, Wakes(links[0]))
    for _ in range(20):
        await state(telling, thing(new_id()))

    async def is_told() -> bool:
        return sum(map(len, woken)) == 40

    await until(is_told)
    assert sorted({*woken[0], *woken[1]}) == [OTHER, NAME]
    for link in links:
        await link.close()

    async def is_done() -> bool:
        return await waiting(pool) == 0

    async with running(Reactions(opened, pipeline, KINDS)):
        await until(is_done)
        await state(telling, thing(new_id()))  # its wakes go nowhere
        await until(is_done)


async def _is_connected(link: NatsLink) -> bool:
    with contextlib.suppress(Fault):
        return link.client.is_connected
    return False


async def test_what_waits_and_what_was_given_up_is_shown_by_name(pool, pipeline, opened):
    await state(pipeline, thing(new_id()), thing(new_id()))
    await pool.execute("UPDATE reactions SET at_ms = at_ms - 60000")
    await pool.execute("UPDATE reactions SET reaction = 'gone.on_thing' WHERE reaction = $1", OTHER)
    metrics = Metrics()
    await copy_work(opened, metrics, {NAME})
    shown = metrics.render().decode()
    assert f'mnbara_work_waiting{{name="{NAME}"}} 2.0' in shown
    assert 'mnbara_work_waiting{name="unknown"} 2.0' in shown
    assert 60 <= metrics.registry.get_sample_value("mnbara_work_oldest_seconds", {"name": NAME}) < 600


async def test_what_was_given_up_is_listed_and_replayed_in_its_place(pool, pipeline, opened, reactions):
    thing_id, job_id = new_id(), new_id()
    await state(pipeline, thing(thing_id), thing(thing_id))
    async with opened.transaction() as db:
        row = WaitingReaction(f"things:{thing_id}", 1, "thing_happened", 5, "{}")
        await give_up_reaction(db, NAME, row, 5, "ValueError: no", 7)
        await insert_jobs(db, [("things.call", thing_id)], 5)
        leased = await claim_job(db, "things.call", 5, 6)
        job_id = leased.job_id
        await give_up_job(db, leased, "ValueError: no", 7)
    assert await count_given_up(opened) == {NAME: 1, "things.call": 1}
    out: list[str] = []
    replay = Replay(opened, KINDS, ["things.call"], out.append)
    assert await replay.run(None, replay_all=False)
    assert len(out) == 2
    assert f"things:{thing_id} #1" in out[0]
    assert not await replay.run(10**6, replay_all=False)
    first_id = int(out[0].split()[0])
    assert await replay.run(first_id, replay_all=False)
    await drain(reactions)
    assert await effects_of(pool, "things", f"things:{thing_id}") == [1, 2]
    assert await replay.run(None, replay_all=True)
    assert await pool.fetchval("SELECT job_id FROM jobs") == job_id
    assert await count_given_up(opened) == {}
    await pool.execute("TRUNCATE jobs")


UNFIT = {
    "this version has no such reaction": "name = 'gone.on_thing'",
    "it reacts to thing_happened, this is other": "fact = 'other'",
    "its data are no thing_happened": "data = '[1]'",
    "its place is taken": "number = 2",
}


@pytest.mark.parametrize("reason", UNFIT)
async def test_a_failure_that_was_edited_is_told_stays_and_holds_up_no_other(
    pool, pipeline, opened, reactions, reason
):
    ids = [new_id() for _ in range(3)]
    for thing_id in ids:
        await state(pipeline, thing(thing_id), thing(thing_id))
        async with opened.transaction() as db:
            row = WaitingReaction(f"things:{thing_id}", 1, "thing_happened", 5, "{}")
            await give_up_reaction(db, NAME, row, 5, "ValueError: no", 7)
    await pool.execute(
        f"UPDATE failures SET {UNFIT[reason]}, failed_at_ms = 9223372036854775807"  # noqa: S608 - our own words
        " WHERE aggregate = $1",
        f"things:{ids[1]}",
    )
    out: list[str] = []
    replay = Replay(opened, KINDS, [], out.append)
    assert await replay.run(None, replay_all=False)
    assert "9223372036854775807 ms after 5 attempts" in out[1]
    del out[:]
    assert await replay.run(None, replay_all=True)
    assert ["put back" in line for line in out] == [True, True, True]
    assert [": NOT put back: " in line for line in out] == [False, True, False]
    assert reason in out[1]
    with pytest.raises(UnfitFailureError, match=reason):
        await replay.run(int(out[1].split()[0]), replay_all=False)
    assert await pool.fetchval("SELECT count(*) FROM failures") == 1


async def count_given_up(opened) -> dict[str, int]:
    async with opened.connection() as db:
        return await count_failures(db)


async def test_a_transaction_begins_no_further_row_when_it_has_taken_long(
    pool, pipeline, reactions, monkeypatch
):
    monkeypatch.setattr("server.worker.reactions.BATCH_S", 0.0)
    thing_id = new_id()
    await state(pipeline, *(thing(thing_id, wait_s=0.001) for _ in range(3)))
    await reactions.turn(NAME)
    assert await effects_of(pool, "things", f"things:{thing_id}") == [1]
    await drain(reactions)
    assert await effects_of(pool, "things", f"things:{thing_id}") == [1, 2, 3]


@pytest.mark.slow
async def test_three_workers_do_at_least_twice_as_much_as_one_of_reactions_that_wait(pool, pipeline, opened):
    async def measure(count: int) -> float:
        await pool.execute("TRUNCATE reactions, reaction_queues, effects")
        await state(pipeline, *(thing(new_id(), wait_s=0.02) for _ in range(480)))
        await pool.execute("DELETE FROM reactions WHERE reaction = $1", OTHER)
        await pool.execute("DELETE FROM reaction_queues WHERE reaction = $1", OTHER)

        async def is_done() -> bool:
            return await waiting(pool) == 0

        started = time.monotonic()
        async with running(*(Reactions(opened, pipeline, KINDS) for _ in range(count))):
            await until(is_done)
        return time.monotonic() - started

    one = await measure(1)
    three = await measure(3)
    assert one / three >= 2
