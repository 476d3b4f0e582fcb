"""How late auctions end: 2,000 of them, each with a bid, end within one second, and in the same millisecond.

Lateness is measured where it matters, at a watcher: from the auction's end to the arrival of its `auction_closed`
event, both by this machine's clock. An event before the end would be an error. In the last row other auctions get a
thousand bids a second meanwhile: closing must not starve, and its crowd must not stop the bids.
"""

import asyncio
import contextlib
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec
from msgspec import Struct

from load.benchmarks.machine import CpuMeter
from load.benchmarks.programs import BenchmarkError, System
from load.benchmarks.report import Figure
from load.client import Publication, Reply, Socket, open_sockets
from load.latencies import Latencies
from load.market import ONE_BY_ONE, bid, open_auctions
from load.waiting import gather_some, wait_until

AUCTIONS = 2_000
CHANNELS_PER_SOCKET = 100
"""A connection may have 128."""
SELLERS = 4
ACCOUNTS = 36
LEAD_S = 25.0
"""From the first opening to the first end; opening 2,000 takes ten seconds here."""
WAIT_S = 20.0
STORM_PER_S = 1_000
"""Bids a second on auctions that do not end."""
STORM_AUCTIONS = 20
STORM_BEFORE_S = 2.0
STORM_TICK_S = 0.01


class _Event(Struct):
    type: str


_events = msgspec.json.Decoder(_Event)


@dataclass(frozen=True, slots=True)
class _Case:
    """Auctions that end together."""

    words: str
    spread_s: float
    storm: bool = False


CASES = (
    _Case("end within a second", 1.0),
    _Case("end in the same millisecond", 0.0),
    _Case("end in the same millisecond, 1,000 bids/s on others", 0.0, storm=True),
)


async def measure(system: System) -> list[Figure]:
    """Measure every case; each opens its auctions, bids once on each, waits for their ends."""
    accounts = await system.accounts(ACCOUNTS)
    figures = []
    for case in CASES:
        sockets = await open_sockets(system.websocket_url, [account.token for account in accounts])
        try:
            figures += await _measure_case(system, case, sockets[:SELLERS], sockets[SELLERS:])
        finally:
            for socket in sockets:
                socket.close()
    return figures


async def _measure_case(
    system: System, case: _Case, sellers: Sequence[Socket], bidders: Sequence[Socket]
) -> list[Figure]:
    closed_at: dict[str, float] = {}

    def note(_socket: Socket, channel: str, publication: Publication) -> None:
        if _events.decode(publication.data).type == "auction_closed":
            closed_at[channel.partition(":")[2]] = time.time()

    watchers = await open_sockets(system.websocket_url, [""] * (AUCTIONS // CHANNELS_PER_SOCKET), note)
    try:
        first_end = time.time() + LEAD_S
        ends = [first_end + case.spread_s * number / AUCTIONS for number in range(AUCTIONS)]
        ids = await _prepare(sellers, bidders, watchers, ends)
        async with _storm(sellers, bidders, first_end, wanted=case.storm) as storm:
            if time.time() > first_end:
                raise BenchmarkError("opening took longer than the auctions last; this machine is too busy")
            await asyncio.sleep(first_end - time.time())
            meter = CpuMeter(system.groups())
            if not await wait_until(lambda: len(closed_at) == AUCTIONS, WAIT_S):
                raise BenchmarkError(f"{AUCTIONS - len(closed_at)} auctions did not close in {WAIT_S:.0f} s")
            used_s = meter.used_s()
    finally:
        for socket in watchers:
            socket.close()
    late = Latencies(closed_at[auction_id] - end for auction_id, end in zip(ids, ends, strict=True))
    if late.quantile(0.0) < -0.001:  # ends are sent as whole milliseconds
        raise BenchmarkError(f"an auction ended {-late.ms(0.0):.0f} ms early")
    figures = [
        Figure(
            benchmark="close",
            what=f"p95 of lateness, {AUCTIONS} auctions {case.words}",
            value=late.ms(0.95),
            unit="ms",
            target=100,
            notes={
                "lateness": late.in_words(),
                "worst ms": late.ms(1.0),
                **{f"CPU ms per auction {n}": used * 1000 / AUCTIONS for n, used in used_s.items()},
            },
        )
    ]
    if case.storm:
        figures.append(storm.figure())
    return figures


async def _prepare(
    sellers: Sequence[Socket], bidders: Sequence[Socket], watchers: Sequence[Socket], ends: Sequence[float]
) -> list[str]:
    """Open the auctions, watch all of them, bid once on each; return their ids."""
    ids = await open_auctions(sellers, ends, increments=ONE_BY_ONE)
    await gather_some(
        [
            partial(watchers[n // CHANNELS_PER_SOCKET].subscribe, f"auctions:{auction_id}")
            for n, auction_id in enumerate(ids)
        ]
    )
    await gather_some(
        [partial(_bid_once, bidders[n % len(bidders)], auction_id) for n, auction_id in enumerate(ids)]
    )
    return ids


async def _bid_once(socket: Socket, auction_id: str) -> None:
    await socket.rpc(
        "auctions.place_bid", {"auction_id": auction_id, "amount": 100, "key": secrets.token_hex(8)}
    )


@dataclass(slots=True)
class _Storm:
    """Bids at a fixed rate, answered or not; latencies of those that were answered."""

    latencies: Latencies = field(default_factory=Latencies)
    sent: int = 0

    def place(self, socket: Socket, auction_id: str, amount: int) -> None:
        """Send one bid."""
        self.sent += 1
        sent_at = time.monotonic()

        def answered(_reply: Reply) -> None:
            self.latencies.add(time.monotonic() - sent_at)

        socket.call("auctions.place_bid", bid(auction_id, amount, secrets.token_hex(8)), answered)

    def figure(self) -> Figure:
        """Return how the bids fared while the auctions closed."""
        return Figure(
            benchmark="close",
            what=f"p95 from bid to durable answer meanwhile, {STORM_PER_S} bids/s",
            value=self.latencies.ms(0.95),
            unit="ms",
            notes={"latency": self.latencies.in_words(), "worst ms": self.latencies.ms(1.0)},
        )


@contextlib.asynccontextmanager
async def _storm(
    sellers: Sequence[Socket], bidders: Sequence[Socket], first_end: float, *, wanted: bool
) -> AsyncIterator[_Storm]:
    """Bid on other auctions from just before the ends until the block is left."""
    storm = _Storm()
    if not wanted:
        yield storm
        return
    others = await open_auctions(sellers, [time.time() + 3600] * STORM_AUCTIONS, increments=ONE_BY_ONE)
    blowing = asyncio.create_task(_blow(storm, bidders, others, first_end - STORM_BEFORE_S))
    try:
        yield storm
    finally:
        blowing.cancel()
        await asyncio.gather(blowing, return_exceptions=True)
    if not await wait_until(lambda: len(storm.latencies) == storm.sent, WAIT_S):
        raise BenchmarkError(f"{storm.sent - len(storm.latencies)} bids were never answered")


async def _blow(storm: _Storm, bidders: Sequence[Socket], others: Sequence[str], from_s: float) -> None:
    amounts = itertools.count(100)
    await asyncio.sleep(max(0.0, from_s - time.time()))
    started_at = time.monotonic()
    while True:
        due = int((time.monotonic() - started_at) * STORM_PER_S)
        for number in range(storm.sent, due):
            storm.place(bidders[number % len(bidders)], others[number % len(others)], next(amounts))
        await asyncio.sleep(STORM_TICK_S)
