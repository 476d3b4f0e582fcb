"""RPC round trips of the realtime core: decode, dispatch, a trivial handler, encode; against the raw uvloop floor.

200 sockets with one call under way each. The server has a core of its own; what one core can do is the calls answered
per CPU second of the server, because the generator, in Python too, is the slower of the two.
"""

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from load.benchmarks.fanout import CORE, FLOOR
from load.benchmarks.machine import cpu_s, pin
from load.benchmarks.programs import BenchmarkError, SmallServer, small_server
from load.benchmarks.report import Figure
from load.client import Reply, Socket, open_sockets
from load.latencies import Latencies
from load.waiting import wait_until

SOCKETS = 200
SECONDS = 3.0
REPETITIONS = 2
DATA = b'{"auction_id":"0192f3a4-0000-7000-8000-000000000000","amount":123456,"key":"k-000000000000000001"}'


@dataclass(frozen=True, slots=True)
class Measured:
    """What one server did."""

    per_s: float
    per_cpu_s: float
    latencies: Latencies


async def measure(home: Path) -> list[Figure]:
    """Run floor and core one after the other, twice; the median counts."""
    runs: dict[str, list[Measured]] = {FLOOR: [], CORE: []}
    for _ in range(REPETITIONS):
        for module, measured in runs.items():
            async with small_server(home, module) as server:
                pin(server.pid, 0)
                pin(0, -1)
                measured.append(await _measure_server(server))
    core, floor = runs[CORE], runs[FLOOR]
    return [
        Figure(
            benchmark="rpc",
            what="round trips per CPU second of the server",
            value=statistics.median(run.per_cpu_s for run in core),
            unit="calls/s",
            baseline=statistics.median(run.per_cpu_s for run in floor),
            baseline_is="asyncio.Protocol on uvloop that echoes",
            target=40_000,
            better="higher",
            notes={
                "calls/s with this generator": statistics.median(run.per_s for run in core),
                "floor": statistics.median(run.per_s for run in floor),
                f"{SOCKETS} under way": core[-1].latencies.in_words(),
            },
        )
    ]


async def _measure_server(server: SmallServer) -> Measured:
    sockets = await open_sockets(server.url, [""] * SOCKETS)
    try:
        await _call_for(sockets, server.pid, 0.5)  # warm-up
        return await _call_for(sockets, server.pid, SECONDS)
    finally:
        for socket in sockets:
            socket.close()


async def _call_for(sockets: list[Socket], pid: int, seconds: float) -> Measured:
    latencies = Latencies()
    stop_at = time.monotonic() + seconds
    under_way = 0

    def call(socket: Socket) -> None:
        nonlocal under_way
        sent_at = time.monotonic()
        under_way += 1

        def answered(reply: Reply) -> None:
            nonlocal under_way
            under_way -= 1
            if reply.error is not None:
                raise BenchmarkError(f"echo was refused: {reply.error}")
            now = time.monotonic()
            latencies.add(now - sent_at)
            if now < stop_at:
                call(socket)

        socket.call("echo", DATA, answered)

    cpu_before, started_at = cpu_s(pid), time.monotonic()
    for socket in sockets:
        call(socket)
    await wait_until(lambda: not under_way, seconds + 10)
    elapsed, used_s = time.monotonic() - started_at, cpu_s(pid) - cpu_before
    return Measured(len(latencies) / elapsed, len(latencies) / max(used_s, 1e-9), latencies)
