"""Readers that stopped reading, and what the others notice: fan-out of the core with and without them.

The stalled ones are plain sockets with small buffers, filled until the server's transports take nothing more. Both ways
take turns on one server: 1,000 readers that read, one message at a time. At the end the flood goes on until the server
has cut every stalled reader, as it promises.
"""

import asyncio
import base64
import contextlib
import os
import socket
import statistics
from pathlib import Path
from urllib.parse import urlsplit

from websockets.speedups import apply_mask

from load.benchmarks.fanout import CHANNEL, CoreStage, fill, flood, one_at_a_time
from load.benchmarks.programs import BenchmarkError, SmallServer
from load.benchmarks.report import Figure
from load.benchmarks.stage import SUBSCRIBERS
from load.benchmarks.turns import CORE, ratios_in_words, servers_on_one_core
from load.latencies import Latencies

STALLED = 10
SECONDS = 1.5
ROUNDS = 4
FLOODS_MAX = 600
"""About 12 MB for each reader; kernel buffers and the bound of one reader hold a fraction."""


async def measure(home: Path) -> list[Figure]:
    """Publish with everybody reading, then beside stalled readers, in turns."""
    calm, beside = Latencies(), Latencies()
    calm_cpu_us: list[float] = []
    beside_cpu_us: list[float] = []
    async with servers_on_one_core(home, (CORE,)) as servers:
        server = servers[CORE]
        stage = await fill(server)
        await one_at_a_time(stage, 0.5)  # warm-up
        for _ in range(ROUNDS):
            cpu_us, spread = await one_at_a_time(stage, SECONDS)
            calm.samples.extend(spread.samples)
            calm_cpu_us.append(cpu_us)
            stalled = await _stall(server, stage)
            cpu_us, spread = await one_at_a_time(stage, SECONDS)
            beside.samples.extend(spread.samples)
            beside_cpu_us.append(cpu_us)
            await _await_cuts(stage, stalled)
        stage.leave()
    return [
        Figure(
            benchmark="stalled",
            what=f"p99 from publish to the last of {SUBSCRIBERS:,} readers beside {STALLED} that do not read",
            value=beside.ms(0.99),
            unit="ms",
            baseline=calm.ms(0.99),
            baseline_is="the same server while everybody reads",
            target=1.25,
            against="ratio",
            notes={
                "beside stalled readers": beside.in_words(),
                "without": calm.in_words(),
                "CPU µs per delivery": statistics.median(beside_cpu_us),
                "its ratio": ratios_in_words(beside_cpu_us, calm_cpu_us),
            },
        )
    ]


async def _stall(server: SmallServer, stage: CoreStage) -> list[socket.socket]:
    """Return sockets that subscribed and stopped reading, once the server can write to none of them."""
    stalled = [await asyncio.to_thread(_subscribe_raw, server.url) for _ in range(STALLED)]
    for _ in range(FLOODS_MAX):
        await flood(stage)
        if int(await stage.publisher.rpc("stuck", {})) == STALLED:
            return stalled
    raise BenchmarkError("the stalled readers' buffers never filled")


def _subscribe_raw(url: str) -> socket.socket:
    """Return a socket that has connected and subscribed and has been read up to there."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(10)
    raw.connect((parts.hostname, parts.port))
    key = base64.b64encode(os.urandom(16)).decode()
    raw.sendall(
        f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    _read_until(raw, b"\r\n\r\n")
    for body in (b'{"id":1,"connect":{}}', b'{"id":2,"subscribe":{"channel":"%b"}}' % CHANNEL.encode()):
        mask = os.urandom(4)
        raw.sendall(bytes((0x81, 0x80 | len(body))) + mask + apply_mask(body, mask))
    _read_until(raw, b'"subscribe":{')
    return raw


def _read_until(raw: socket.socket, words: bytes) -> None:
    """Read until these words have come. Raises BenchmarkError when the server closes first."""
    seen = b""
    while words not in seen:
        more = raw.recv(1024)
        if not more:
            raise BenchmarkError("the server closed a socket that subscribed")
        seen += more


async def _await_cuts(stage: CoreStage, stalled: list[socket.socket]) -> None:
    """Publish on until the server has given up on every stalled reader. Raises BenchmarkError."""
    try:
        for _ in range(FLOODS_MAX):
            await flood(stage)
            if not int(await stage.publisher.rpc("stuck", {})):
                return
        raise BenchmarkError("a reader that does not read was never cut")
    finally:
        for raw in stalled:
            with contextlib.suppress(OSError):
                raw.close()
