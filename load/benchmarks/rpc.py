"""RPC round trips of the realtime core: decode, dispatch, a trivial handler, encode; against the raw uvloop floor.

200 sockets with one call under way each. The server has a core of its own; what one core can do is the calls answered
per CPU second of the server, because the generator, in Python too, is the slower of the two. Core, floor and a stock
Litestar server take turns.
"""

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from load.benchmarks.machine import exact_cpu_s
from load.benchmarks.programs import BenchmarkError
from load.benchmarks.report import Figure
from load.benchmarks.turns import (
    CORE,
    FLOOR,
    IS_FLOOR,
    IS_STOCK,
    STOCK,
    ratios_in_words,
    servers_on_one_core,
    take_turns,
)
from load.client import Reply, Socket, open_sockets
from load.latencies import Latencies
from load.waiting import wait_until

SOCKETS = 200
SECONDS = 0.7
"""Length of one turn of one server."""
ROUNDS = 7
DATA = b'{"auction_id":"0192f3a4-0000-7000-8000-000000000000","amount":123456,"key":"k-000000000000000001"}'


@dataclass(frozen=True, slots=True)
class Measured:
    """What one server did."""

    per_s: float
    per_cpu_s: float
    latencies: Latencies


async def measure(home: Path) -> list[Figure]:
    """Let the servers take turns; the medians of all rounds count."""
    runs: dict[str, list[Measured]] = {FLOOR: [], CORE: [], STOCK: []}
    async with servers_on_one_core(home, tuple(runs)) as servers:
        stages = {
            name: (server.pid, await open_sockets(server.url, [""] * SOCKETS))
            for name, server in servers.items()
        }
        for pid, sockets in stages.values():
            await _call_for(sockets, pid, 0.3)  # warm-up
        for name, (pid, sockets) in take_turns(stages, ROUNDS):
            runs[name].append(await _call_for(sockets, pid, SECONDS))
        for _, sockets in stages.values():
            for socket in sockets:
                socket.close()
    rates = {name: [run.per_cpu_s for run in measured] for name, measured in runs.items()}
    seen = {name: statistics.median(run.per_s for run in measured) for name, measured in runs.items()}
    return [
        Figure(
            benchmark="rpc",
            what="round trips per CPU second of the server",
            value=statistics.median(rates[CORE]),
            unit="calls/s",
            baseline=statistics.median(rates[FLOOR]),
            baseline_is=f"{IS_FLOOR}, that echoes",
            target=40_000,
            better="higher",
            notes={
                "ratio": ratios_in_words(rates[CORE], rates[FLOOR]),
                "calls/s with this generator": seen[CORE],
                "floor": seen[FLOOR],
                "stock": seen[STOCK],
                f"{SOCKETS} under way": runs[CORE][-1].latencies.in_words(),
            },
        ),
        Figure(
            benchmark="rpc",
            what="the same, against the ordinary way",
            value=statistics.median(rates[CORE]),
            unit="calls/s",
            baseline=statistics.median(rates[STOCK]),
            baseline_is=f"{IS_STOCK}, that echoes",
            better="higher",
            notes={"ratio": ratios_in_words(rates[CORE], rates[STOCK])},
        ),
    ]


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

    cpu_before, started_at = exact_cpu_s(pid), time.monotonic()
    for socket in sockets:
        call(socket)
    await wait_until(lambda: not under_way, seconds + 10)
    elapsed, used_s = time.monotonic() - started_at, exact_cpu_s(pid) - cpu_before
    return Measured(len(latencies) / elapsed, len(latencies) / max(used_s, 1e-9), latencies)
