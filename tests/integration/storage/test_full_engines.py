"""Engines whose disk is full refuse for now: everybody is told so as of an outage, and readiness shows it."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from protocols.errors import TemporarilyUnavailable
from protocols.topics import Entry
from server.local.engines import LocalEngines
from storage.engines import postgres
from storage.engines.postgres import open_database
from storage.engines.probes import NotReadyError, probe_redis
from storage.engines.redis import open_redis, ping_redis
from storage.platform.bus_redis import RedisBus
from storage.platform.viewer_counts_redis import RedisViewerCounts
from tests.support.engines import ROOT, free_home
from tests.support.waiting import until


@pytest.mark.parametrize(("state", "is_full"), [("53100", True), ("53200", False), ("58030", False)])
async def test_a_write_without_space_is_refused_for_now_and_shown_for_a_while(
    database, monkeypatch, state, is_full
):
    opened = await open_database(database, size_max=1)
    await opened.check_space()
    with pytest.raises(TemporarilyUnavailable):
        async with opened.transaction() as db:
            await db.execute(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$")
    if is_full:
        with pytest.raises(TemporarilyUnavailable, match="disk is full"):
            await opened.check_space()
        monkeypatch.setattr(postgres, "SPACE_SHOWN_S", 0.0)
    await opened.check_space()
    await opened.ping()
    await opened.close()


@pytest.fixture
def own_redis() -> Iterator[LocalEngines]:
    with free_home(Path(ROOT / ".local" / "test-full-redis")) as home:
        engines = LocalEngines(home, names=("redis",), fsync=False)
        engines.start()
        yield engines
        engines.children["redis"].kill()  # one that cannot save does not end by itself
        engines.stop()


async def test_a_redis_that_cannot_save_refuses_for_now_and_the_bus_goes_on(own_redis):
    url = own_redis.urls().redis_url
    redis, heard = open_redis(url), []
    buses = [RedisBus(url) for _ in range(2)]
    for bus in buses:
        await bus.start(lambda channel, _entries: heard.append(channel), lambda: heard.append("reconnected"))
    await buses[1].subscribe(["x"])
    await redis.execute_command("CONFIG", "SET", "save", "3600 1")
    shutil.rmtree(own_redis.data / "redis")
    await redis.execute_command("BGSAVE")

    async def refuses() -> bool:
        try:
            await redis.execute_command("PING")
        except ResponseError as error:
            return str(error).startswith("MISCONF")
        return False

    async with asyncio.timeout(20):
        while not await refuses():
            await asyncio.sleep(0.01)
    with pytest.raises(TemporarilyUnavailable):
        await ping_redis(redis)
    with pytest.raises(TemporarilyUnavailable):
        await RedisViewerCounts(redis).set_counts({"auctions:x": 1})
    with pytest.raises(NotReadyError, match="MISCONF"):
        await probe_redis(url)
    refused_at = time.monotonic()
    await until(lambda: all(bus._heard_at > refused_at for bus in buses))  # a refused PING is an answer, too
    assert not any(bus.is_silent() for bus in buses)
    buses[0].publish([("x", [Entry(1, b"{}", 0)])])
    await until(lambda: heard.count("x") == 2)
    assert "reconnected" not in heard
    for bus in buses:
        await bus.close()
    await redis.aclose()
