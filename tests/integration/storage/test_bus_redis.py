"""The bus on real Redis: delivered everywhere, own publications at once, back after an outage."""

import asyncio
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from protocols.topics import Entry
from server.local.engines import LocalEngines
from storage.platform.bus_redis import SUBSCRIBE_TIMEOUT_S, RedisBus
from tests.support.engines import ROOT, free_home
from tests.support.waiting import until


class Ear:
    """What one process heard."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []
        self.reconnected = 0

    def deliver(self, channel: str, entries: Sequence[Entry]) -> None:
        self.heard += [(channel, entry.number) for entry in entries]

    def on_reconnected(self) -> None:
        self.reconnected += 1


async def open_bus(redis_url: str) -> tuple[RedisBus, Ear]:
    bus, ear = RedisBus(redis_url), Ear()
    await bus.start(ear.deliver, ear.on_reconnected)
    return bus, ear


async def test_a_publication_reaches_every_subscribed_process_once(redis_url):
    (a, ear_a), (b, ear_b), (c, ear_c) = [await open_bus(redis_url) for _ in range(3)]
    await asyncio.gather(a.subscribe(["x"]), b.subscribe(["x"]))
    a.publish([("x", [Entry(1, b"{}", 0), Entry(2, b"{}", 0)])])
    assert ear_a.heard == [("x", 1), ("x", 2)]
    await until(lambda: len(ear_b.heard) == 2)
    await asyncio.sleep(0.05)
    assert ear_a.heard == ear_b.heard == [("x", 1), ("x", 2)]
    assert ear_c.heard == []
    await asyncio.gather(a.close(), b.close(), c.close())


async def test_an_unsubscribed_channel_falls_silent(redis_url):
    (a, _), (b, ear_b) = [await open_bus(redis_url) for _ in range(2)]
    await b.subscribe(["y"])
    b.unsubscribe("y")
    await b.subscribe(["z"])
    a.publish([("y", [Entry(1, b"{}", 0)]), ("z", [Entry(1, b"{}", 0)])])
    await until(lambda: bool(ear_b.heard))
    assert ear_b.heard == [("z", 1)]
    await asyncio.gather(a.close(), b.close())


async def test_entries_survive_the_wire_unchanged(redis_url):
    (a, _), (b, _) = [await open_bus(redis_url) for _ in range(2)]
    got: list[Entry] = []
    b._deliver = lambda _channel, entries: got.extend(entries)
    await b.subscribe(["w"])
    sent = Entry(2**40, '{"t":"\u00e9\U0001f30d"}'.encode(), 1_764_000_000_123, "key")
    a.publish([("w", [sent])])
    await until(lambda: bool(got))
    assert got == [sent]
    await asyncio.gather(a.close(), b.close())


@pytest.fixture
def own_engines():
    with free_home(Path(ROOT / ".local" / "test-bus")) as home:
        engines = LocalEngines(home, fsync=False)
        engines.start()
        yield engines
        engines.stop()


async def test_after_an_outage_it_subscribes_again_and_says_so(own_engines):
    url = own_engines.urls().redis_url
    (a, ear_a), (b, ear_b) = [await open_bus(url) for _ in range(2)]
    await b.subscribe(["x"])
    own_engines.children["redis"].kill()
    own_engines.children["redis"].wait()
    await until(lambda: not (a.connected or b.connected))
    async with asyncio.timeout(1):
        await b.subscribe(["later"])
    a.publish([("x", [Entry(1, b"{}", 0)])])
    assert ear_a.heard == [("x", 1)]
    own_engines.spawn("redis")
    await until(lambda: ear_a.reconnected == ear_b.reconnected == 1)
    a.publish([("x", [Entry(2, b"{}", 0)]), ("later", [Entry(1, b"{}", 0)])])
    await until(lambda: len(ear_b.heard) == 2)
    assert ear_b.heard == [("x", 2), ("later", 1)]
    assert a.dropped == 1
    await asyncio.gather(a.close(), b.close())


@pytest.mark.slow
async def test_redis_that_stands_still_is_silent_soon_and_holds_up_nobody(own_engines):
    bus, ear = await open_bus(own_engines.urls().redis_url)
    await bus.subscribe(["x"])
    assert not bus.is_silent()
    redis = own_engines.children["redis"]
    redis.send_signal(signal.SIGSTOP)
    try:
        await until(bus.is_silent)
        began = time.monotonic()
        await bus.subscribe(["y"])
        assert time.monotonic() - began < SUBSCRIBE_TIMEOUT_S
        await until(lambda: not bus.connected)  # the connection is given up
    finally:
        redis.send_signal(signal.SIGCONT)
    await until(lambda: ear.reconnected > 0 and not bus.is_silent())
    await bus.close()


async def test_tags_publishers_and_signs_travel_between_processes(redis_url):
    heard: list[Entry] = []
    (a, _), b = await open_bus(redis_url), RedisBus(redis_url)
    await b.start(lambda _channel, entries: heard.extend(entries), lambda: None)
    await asyncio.gather(a.subscribe(["tagged"]), b.subscribe(["tagged"]))
    sent = [
        Entry(1, b"{}", 5, "", {"kind": "bid"}, b'{"user":"u"}'),
        Entry(2, b"{}", 6, "k"),
        Entry(0, b'{"user":"u"}', 0, "join"),
    ]
    a.publish([("tagged", sent)])
    await until(lambda: len(heard) == 3)
    assert heard == sent
    await asyncio.gather(a.close(), b.close())
