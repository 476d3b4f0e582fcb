"""A hundred thousand connections on one machine, over several server processes of a whole system, and their memory.

Each is subscribed to one of 50 auctions. At the end one bid is placed on each auction, and every connection must get
its event: a connection that is held and cannot be reached would be worth nothing.
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from load.benchmarks.machine import raise_descriptor_limit, shared_memory_kb, socket_buffers_kb
from load.benchmarks.programs import ROOT, BenchmarkError, System, running_system
from load.benchmarks.report import Figure
from load.client import Reply, Socket, open_socket
from load.market import ONE_BY_ONE, bid, open_auctions

CONNECTIONS = 100_000
PROCESSES = 6
"""Of server and clients. The kernel spreads connections over listeners by chance, so each has some to spare."""
SPARE_DESCRIPTORS = 500
AUCTIONS = 50
OPEN_TIMEOUT_S = 240.0
SETTLE_S = 3.0
TARGET_MB = 2048

Holder = asyncio.subprocess.Process


async def measure(home: Path) -> list[Figure]:
    """Open them all, look at the memory, reach everybody."""
    each = min(CONNECTIONS // PROCESSES, raise_descriptor_limit() - SPARE_DESCRIPTORS)
    async with running_system(home / "connections", PROCESSES) as system:
        accounts = await system.accounts(2)
        seller = await open_socket(system.websocket_url, accounts[0].token)
        bidder = await open_socket(system.websocket_url, accounts[1].token)
        auctions = await open_auctions([seller], [time.time() + 3600] * AUCTIONS, increments=ONE_BY_ONE)
        servers = [pid for name, pid in system.pids().items() if name.startswith("server-")]
        before, buffers_before = [shared_memory_kb(pid) for pid in servers], socket_buffers_kb()
        async with _holders(system, each, auctions) as holders:
            seconds = [float((await _line(holder, OPEN_TIMEOUT_S))[1]) for holder in holders]
            await asyncio.sleep(SETTLE_S)
            after, buffers = [shared_memory_kb(pid) for pid in servers], socket_buffers_kb()
            await _reach_everybody(bidder, auctions, holders, each)
        seller.close()
        bidder.close()
    held = each * PROCESSES
    return _figures(held, before, after, max(seconds), buffers - buffers_before)


def _figures(held: int, before: list[int], after: list[int], seconds: float, buffers_kb: int) -> list[Figure]:
    grown = [now - then for then, now in zip(before, after, strict=True)]
    return [
        Figure(
            benchmark="connections",
            what=f"memory of {PROCESSES} server processes with {held:,} subscribed connections",
            value=sum(after) / 1024,
            unit="MB",
            target=TARGET_MB * held / CONNECTIONS,
            notes={
                "without connections, MB": sum(before) / 1024,
                "largest process, MB": max(after) / 1024,
                "connected/s": held / seconds,
                "kernel buffers of both sides, MB": buffers_kb / 1024,
            },
        ),
        Figure(
            benchmark="connections",
            what="the same, per connection",
            value=sum(grown) / held,
            unit="KB",
            target=10,
        ),
    ]


@contextlib.asynccontextmanager
async def _holders(system: System, each: int, auctions: Sequence[str]) -> AsyncIterator[list[Holder]]:
    holders: list[Holder] = []
    try:
        for number in range(PROCESSES):
            words = [
                system.websocket_url,
                str(each),
                f"127.0.0.{10 + number}",
                *(f"auctions:{auction_id}" for auction_id in auctions),
            ]
            holders.append(
                await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "load.benchmarks.holders",
                    *words,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    cwd=ROOT,
                )
            )
        yield holders
    finally:
        for holder in holders:
            if holder.returncode is None:
                holder.kill()
                await holder.wait()


async def _line(holder: Holder, timeout_s: float) -> list[str]:
    """Return the words of a holder's next line. Raises BenchmarkError when it does not come."""
    assert holder.stdout is not None
    try:
        line = await asyncio.wait_for(holder.stdout.readline(), timeout_s)
    except TimeoutError:
        line = b""
    if not line:
        raise BenchmarkError("the connections could not be opened")
    return line.decode().split()


async def _reach_everybody(
    bidder: Socket, auctions: Sequence[str], holders: Sequence[Holder], each: int
) -> None:
    """Publish one event to every channel. Raises BenchmarkError when somebody does not get it."""
    for holder in holders:
        assert holder.stdin is not None
        holder.stdin.write(b"now\n")
    for number, auction_id in enumerate(auctions):
        bidder.call(
            "auctions.place_bid", bid(auction_id, 100, f"held-{time.time_ns()}-{number}"), _expect_success
        )
    for holder in holders:
        arrived, lost = (int(word) for word in await _line(holder, 60))
        if (arrived, lost) != (each, 0):
            raise BenchmarkError(f"of {each:,} connections {arrived:,} were reached and {lost:,} lost")


def _expect_success(reply: Reply) -> None:
    if reply.error is not None:
        raise BenchmarkError(f"a bid was refused: {reply.error}")
