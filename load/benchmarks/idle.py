"""Memory of idle connections: thousands of sockets, each subscribed to a channel, on core, floor and stock server."""

import asyncio
from functools import partial
from pathlib import Path

from load.benchmarks.machine import memory_kb, raise_descriptor_limit
from load.benchmarks.programs import SmallServer, small_server
from load.benchmarks.report import Figure
from load.benchmarks.turns import CORE, FLOOR, IS_FLOOR, IS_STOCK, STOCK
from load.client import Socket, open_sockets
from load.waiting import gather_some

CONNECTIONS_MAX = 19_000
SPARE_DESCRIPTORS = 500
CHANNELS = 100
"""The connections share this many channels, as watchers share auctions."""
SETTLE_S = 1.0


async def measure(home: Path) -> list[Figure]:
    """Open the connections on each server and compare its memory before and after."""
    count = min(CONNECTIONS_MAX, raise_descriptor_limit() - SPARE_DESCRIPTORS)
    used = {}
    for module in (FLOOR, CORE, STOCK):
        async with small_server(home, module) as server:
            used[module] = await _measure_server(server, count)
    what = f"memory per idle subscribed connection, {count:,} of them"
    return [
        Figure(
            benchmark="idle",
            what=what,
            value=used[CORE],
            unit="KB",
            baseline=used[FLOOR],
            baseline_is=IS_FLOOR,
            target=10,
        ),
        Figure(
            benchmark="idle",
            what="the same, against the ordinary way",
            value=used[CORE],
            unit="KB",
            baseline=used[STOCK],
            baseline_is=IS_STOCK,
        ),
    ]


async def _measure_server(server: SmallServer, count: int) -> float:
    """Return KiB of the server's resident memory per connection."""
    for socket in await _open(server.url, 100):  # what is allocated once is not the connections'
        socket.close()
    await asyncio.sleep(SETTLE_S)
    before_kb = memory_kb(server.pid)
    sockets = await _open(server.url, count)
    await asyncio.sleep(SETTLE_S)
    used_kb = memory_kb(server.pid) - before_kb
    lost = sum(1 for socket in sockets if socket.closed)
    for socket in sockets:
        socket.close()
    assert not lost, f"{lost} connections were lost"
    return used_kb / count


async def _open(url: str, count: int) -> list[Socket]:
    sockets = await open_sockets(url, [""] * count)
    await gather_some([partial(s.subscribe, f"auctions:idle-{n % CHANNELS}") for n, s in enumerate(sockets)])
    return sockets
