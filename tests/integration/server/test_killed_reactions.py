"""Reactions while workers, PostgreSQL and NATS are killed: every effect once, in order, soon after the last kill."""

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

import asyncpg
import nats
import pytest
from redis.asyncio import Redis

from protocols.errors import Fault
from protocols.values import new_id
from server.local.engines import EngineUrls, LocalEngines
from storage.engines.postgres import open_database
from storage.platform.migrate import migrate
from tests.support.reacting import EFFECTS, pipeline_of, state, thing

ROOT = Path(__file__).parents[3]
DRAINED_WITHIN_S = 60


class Workers:
    """Workers as processes, which are killed and replaced."""

    def __init__(self, urls: EngineUrls) -> None:
        self.urls = urls
        self.running: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.integration.server.reaction_worker",
            *(self.urls.postgres_url, self.urls.redis_url, self.urls.nats_url),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert worker.stdout is not None
        assert await asyncio.wait_for(worker.stdout.readline(), 60) == b"working\n"
        self.running.append(worker)

    async def kill_one(self) -> None:
        worker = self.running.pop(0)
        worker.kill()
        await worker.wait()

    async def close(self) -> None:
        while self.running:
            await self.kill_one()


@asynccontextmanager
async def engines_of(home: Path) -> AsyncIterator[LocalEngines]:
    engines = LocalEngines(home, fsync=False)
    await asyncio.to_thread(engines.start)
    try:
        yield engines
    finally:
        await asyncio.to_thread(engines.stop)


async def restart(engines: LocalEngines, name: str) -> None:
    engines.children[name].kill()
    await asyncio.to_thread(engines.children[name].wait)
    await asyncio.to_thread(engines.spawn, name)
    await asyncio.to_thread(engines._await, name)


async def state_all(urls: EngineUrls, ids: list[UUID], count: int, progress: Callable[[int], None]) -> None:
    """State so many facts, some in one transaction, each again until it is known to be committed."""
    database = await open_database(urls.postgres_url)
    pipeline = pipeline_of(database, Redis.from_url(urls.redis_url))
    told = 0
    while told < count:
        batch = [thing(ids[(told + k) % len(ids)], str(told + k)) for k in range(min(5, count - told))]
        with suppress(Fault, asyncpg.PostgresError, OSError):
            await state(pipeline, *batch)
        # A commit whose answer was lost may have happened: the table says, not the driver.
        while True:
            with suppress(Fault, asyncpg.PostgresError, OSError, asyncpg.InterfaceError):
                async with database.connection() as db:
                    told = await db.fetchval("SELECT count(*) FROM events WHERE stream LIKE 'facts:%'")
                break
            await asyncio.sleep(0.05)
        progress(told)
    await database.close()


async def connected(url: str) -> asyncpg.Connection:
    while True:
        with suppress(asyncpg.PostgresError, OSError):
            return await asyncpg.connect(url)
        await asyncio.sleep(0.05)


async def check_once_and_in_order(db: asyncpg.Connection, ids: list[UUID], count: int) -> None:
    for reaction in ("things", "others"):
        for thing_id in ids:
            rows = await db.fetch(
                "SELECT number FROM effects WHERE reaction = $1 AND aggregate = $2 ORDER BY place",
                reaction,
                f"things:{thing_id}",
            )
            facts = await db.fetchval(
                "SELECT count(*) FROM events WHERE stream = $1", f"facts:things:{thing_id}"
            )
            assert [row["number"] for row in rows] == list(range(1, facts + 1))
    assert await db.fetchval("SELECT count(*) FROM effects") == 2 * count
    assert await db.fetchval("SELECT count(*) FROM failures") == 0


async def drained(db: asyncpg.Connection) -> bool:
    return await db.fetchval("SELECT count(*) FROM reactions") == 0


async def kill_in_turn(
    home: Path, count: int, kills: list[Callable[[LocalEngines, Workers], Awaitable[None]]]
) -> float:
    """State facts while the kills happen, evenly spread over them; return how long the rest took, in s."""
    ids = [new_id() for _ in range(20)]
    async with engines_of(home) as engines, AsyncExitStack() as stack:
        urls = engines.urls()
        await migrate(urls.postgres_url)
        db = await connected(urls.postgres_url)
        await db.execute(EFFECTS)
        await db.close()
        workers = Workers(urls)
        stack.push_async_callback(workers.close)
        for _ in range(2):
            await workers.start()
        reached, grown = 0, asyncio.Event()

        def progress(told: int) -> None:
            nonlocal reached
            reached = told
            grown.set()

        stating = asyncio.create_task(state_all(urls, ids, count, progress))
        for place, kill in enumerate(kills, start=1):
            while reached < count * place // (len(kills) + 1):
                grown.clear()
                await asyncio.wait(
                    {asyncio.create_task(grown.wait()), stating}, return_when="FIRST_COMPLETED"
                )
                if stating.done():
                    await stating
            await kill(engines, workers)
        since = time.monotonic()
        await stating
        db = await connected(urls.postgres_url)
        while not await drained(db):
            await asyncio.sleep(0.05)
        took_s = time.monotonic() - since
        await check_once_and_in_order(db, ids, count)
        await db.close()
        await check_relayed(urls, count)
        return took_s


async def check_relayed(urls: EngineUrls, count: int) -> None:
    """Every fact reaches JetStream once, those of an aggregate in their order."""
    client = await nats.connect(urls.nats_url)
    subscription = await client.jetstream().subscribe("facts.things", ordered_consumer=True)
    newest: dict[str, int] = {}
    while sum(newest.values()) < count:
        message = await subscription.next_msg(timeout=60)
        for stream, number, *_ in json.loads(message.data):
            assert number == newest.get(stream, 0) + 1
            newest[stream] = number
    await client.close()


async def kill_worker(_engines: LocalEngines, workers: Workers) -> None:
    await workers.kill_one()
    await workers.start()


async def kill_postgres(engines: LocalEngines, _workers: Workers) -> None:
    await restart(engines, "postgres")


async def kill_nats(engines: LocalEngines, _workers: Workers) -> None:
    await restart(engines, "nats")


async def test_kills_in_turn_leave_every_effect_once_and_in_order(home):
    await kill_in_turn(home, 300, [kill_worker, kill_postgres, kill_nats])


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_reaction_that_kills_every_worker_is_given_up_and_all_others_run(
    database, redis_url, nats_url, pool
):
    await pool.execute(EFFECTS)
    opened = await open_database(database, size_max=1)
    pipeline = pipeline_of(opened, Redis.from_url(redis_url))
    killer, others = new_id(), [new_id() for _ in range(40)]
    workers = Workers(EngineUrls(database, redis_url, nats_url))
    await workers.start()
    await state(pipeline, *map(thing, others[:20]), thing(killer, "kills"), *map(thing, others[20:]))
    await state(pipeline, thing(killer))
    lives = 1
    try:
        while await pool.fetchval("SELECT count(*) FROM reactions"):
            (worker,) = workers.running
            if worker.returncode is not None:
                workers.running.clear()
                await workers.start()
                lives += 1
            await asyncio.sleep(0.05)
    finally:
        for worker in workers.running:
            with suppress(ProcessLookupError):
                worker.kill()
            await worker.wait()
        await opened.close()
    given_up = await pool.fetch("SELECT number, error FROM failures")
    assert [row["number"] for row in given_up] == [1, 1], "one for each of the two reactions"
    assert all("5 workers ended while they ran this" in row["error"] for row in given_up)
    assert await pool.fetchval("SELECT count(*) FROM effects") == 2 * (len(others) + 1)
    assert lives <= 2 * 6 + 1


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_ten_thousand_facts_survive_kills_and_are_done_within_a_minute_after_the_last(home):
    kills = [kill_worker, kill_nats, kill_worker, kill_postgres] * 5
    random.Random(7).shuffle(kills)
    assert await kill_in_turn(home, 10_000, [*kills, kill_worker]) < DRAINED_WITHIN_S
