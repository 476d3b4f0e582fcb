"""Followers on real PostgreSQL and NATS: everything from number 1, in order, whatever is killed, wiped or dropped."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from nats.aio.client import Client

from protocols.values import new_id
from server.worker import followers as followers_module
from server.worker.followers import Follower
from server.worker.relay import Relay
from storage.engines.nats import NatsLink, open_nats
from storage.engines.postgres import Database, open_database
from storage.engines.tasks import end_tasks
from storage.platform.events_postgres import NewEvent, append_events
from storage.platform.followers_postgres import Position, read_follower
from storage.platform.streams_nats import STREAM
from tests.support.copying import COPIES, copied, follower_of
from tests.support.reacting import until

ROOT = Path(__file__).parents[3]
STREAMS: list[str] = []
"""Other names in every test: a stream's numbers are used once, and JetStream counts on that."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def opened(database: str, pool) -> AsyncIterator[Database]:
    await pool.execute(COPIES)
    made = await open_database(database)
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(nats_url: str) -> AsyncIterator[Client]:
    made = await open_nats(nats_url, "tests")
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def link(nats_url: str, client: Client) -> AsyncIterator[NatsLink]:
    made = NatsLink(nats_url, "follower")
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def emptied(pool, opened) -> None:
    await pool.execute("TRUNCATE copies, gaps, followers, events, streams")
    STREAMS[:] = [f"auctions:{new_id()}" for _ in range(5)] + [
        f"facts:things:{new_id()}",
        f"listings:{new_id()}",
    ]


@asynccontextmanager
async def running(*works) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        await end_tasks(tasks)


async def append(opened: Database, transactions: int) -> None:
    """Append two events to each of two streams per transaction."""
    for n in range(transactions):
        chosen = [STREAMS[n % len(STREAMS)], STREAMS[(n + 3) % len(STREAMS)]] * 2
        async with opened.transaction() as db:
            await append_events(db, [NewEvent(stream, "happened", '{"a":1}') for stream in chosen], 5)


async def everything(pool) -> dict[str, tuple[int, int]]:
    """What the copy should have: every event once."""
    rows = await pool.fetch(
        "SELECT stream, max(number) AS number FROM events WHERE stream NOT LIKE 'listings:%' GROUP BY stream"
    )
    return {row["stream"]: (row["number"], row["number"]) for row in rows}


async def complete(pool) -> None:
    async def is_complete() -> bool:
        return await copied(pool) == await everything(pool)

    await until(is_complete)
    assert await pool.fetch("SELECT * FROM gaps") == []


def reads_jetstream(follower: Follower):
    async def is_reading() -> bool:
        return follower._position.stream != ""

    return is_reading


async def test_a_new_follower_begins_at_number_one_and_goes_on_with_jetstream(
    pool, opened, link, monkeypatch
):
    monkeypatch.setattr(followers_module, "HISTORY_EVENTS", 10)
    await append(opened, 20)  # nobody has relayed these yet
    follower = follower_of(opened, link)
    async with running(Relay(opened, link).run(), follower.run()):
        await append(opened, 20)
        await complete(pool)
        await until(reads_jetstream(follower))
        before = follower._position.sequence

        def fail(*_arguments):
            raise AssertionError("it reads the history again")

        monkeypatch.setattr(followers_module, "read_committed", fail)
        await append(opened, 20)
        await complete(pool)
        assert follower._position.sequence > before


@pytest.mark.slow
async def test_a_follower_killed_in_the_middle_goes_on_where_it_was(pool, opened, link, database, nats_url):
    async with running(Relay(opened, link).run()):
        for _ in range(3):
            victim = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tests.support.copying", database, nats_url),
                cwd=ROOT,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            assert await asyncio.wait_for(victim.stdout.readline(), 30) == b"working\n"
            wanted = await pool.fetchval("SELECT count(*) FROM events") + 50
            await append(opened, 40)

            async def has_some(wanted=wanted) -> bool:
                return (await pool.fetchval("SELECT sum(written) FROM copies") or 0) * 2 > wanted

            await until(has_some)
            victim.kill()
            await victim.wait()
            await append(opened, 10)
        async with running(follower_of(opened, link).run()):
            await complete(pool)


@pytest.mark.slow
async def test_a_stream_that_is_wiped_in_the_middle_leaves_no_gap(pool, opened, link, client):
    follower = follower_of(opened, link)
    async with running(Relay(opened, link).run(), follower.run()):
        for _ in range(3):
            await append(opened, 20)
            await until(reads_jetstream(follower))
            stream = follower._position.stream
            await client.jetstream().delete_stream(STREAM)
            await append(opened, 20)
            await complete(pool)

            async def is_another(stream=stream) -> bool:
                return follower._position.stream not in {"", stream}

            await until(is_another)
            await append(opened, 5)
            await complete(pool)


async def test_messages_dropped_while_the_follower_was_away_are_read_from_the_history(
    pool, opened, link, client
):
    async with running(Relay(opened, link).run()):
        async with running(follower_of(opened, link).run()):
            await append(opened, 20)
            await complete(pool)
        await append(opened, 30)

        async def is_relayed() -> bool:
            info = await client.jetstream().stream_info(STREAM)
            await client.jetstream().purge_stream(STREAM)
            return info.state.messages >= 10

        await until(is_relayed)
        async with running(follower_of(opened, link).run()):
            await append(opened, 10)
            await complete(pool)


async def test_without_nats_a_follower_reads_the_history_alone(pool, opened, monkeypatch):
    monkeypatch.setattr(followers_module, "LOOK_EVERY_S", 0.05)
    lost = NatsLink("nats://127.0.0.1:1", "lost")
    async with running(follower_of(opened, lost).run()):
        await append(opened, 20)
        await complete(pool)
        await append(opened, 20)
        await complete(pool)
    await lost.close()


async def test_a_follower_without_events_of_its_own_moves_on(pool, opened, link, monkeypatch):
    monkeypatch.setattr(followers_module, "SAVE_IDLE_EVERY_S", 0.0)
    follower = follower_of(opened, link, "idle")
    async with running(Relay(opened, link).run(), follower.run()):
        await until(reads_jetstream(follower))
        async with opened.transaction() as db:
            await append_events(db, [NewEvent(f"listings:{new_id()}", "happened", "{}")] * 3, 5)
            transaction_id = await db.fetchval("SELECT pg_current_xact_id()::text::bigint")

        async def is_saved() -> bool:
            async with opened.connection() as db:
                position: Position = await read_follower(db, "idle")
            return position.transaction_id > transaction_id and position.sequence > 0

        await until(is_saved)
    assert await copied(pool) == {}
