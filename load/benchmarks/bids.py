"""Durable bids end to end over websockets, against one transaction per bid on the same PostgreSQL.

500 sockets, each with one bid under way: on one hot auction, then on 200. An answer counts when it is an accepted bid,
which the server sends after its commit. At the end the accepted bids are compared with the auctions' own counts, and
their event numbers must be unique and without gaps. Two sockets share an account; amounts rise from bid to bid. The
floor is a bare server whose bids share transactions as ours do.
"""

import asyncio
import itertools
import json
import secrets
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from load.benchmarks.machine import CpuMeter
from load.benchmarks.one_by_one import Result
from load.benchmarks.programs import ROOT, BenchmarkError, System, small_server
from load.benchmarks.report import Figure
from load.client import Reply, Socket, open_socket, open_sockets
from load.latencies import Latencies
from load.market import ONE_BY_ONE, bid, open_auctions, read_receipt
from load.waiting import wait_until

BIDDERS = 500
ACCOUNTS = 251
"""The seller, and two sockets per bidding account: each socket of an account gets all its personal events."""
SECONDS = 6.0
WARM_UP_S = 1.0
BASELINE_SECONDS = 4.0
MANY = 200
EXPECTED = frozenset({"bid_too_low"})
"""Refusals that happen to bidders: two bids crossed on their way."""


@dataclass(slots=True)
class Bidding:
    """Bids of many sockets, one under way per socket."""

    auction_ids: Sequence[str]
    stop_at: float
    count_from: float
    latencies: Latencies = field(default_factory=Latencies)
    refused: Counter[str] = field(default_factory=Counter)
    offsets: dict[str, list[int]] = field(default_factory=dict)
    """Event numbers of the accepted bids, by auction."""
    under_way: int = 0
    _amounts: "itertools.count[int]" = field(default_factory=lambda: itertools.count(100))
    _run: str = field(default_factory=lambda: secrets.token_hex(6))

    def start(self, sockets: Sequence[Socket]) -> None:
        """Let every socket bid until `stop_at`."""
        self.offsets = {auction_id: [] for auction_id in self.auction_ids}
        for number, socket in enumerate(sockets):
            self._place(socket, self.auction_ids[number % len(self.auction_ids)])

    def _place(self, socket: Socket, auction_id: str) -> None:
        self.under_way += 1
        amount = next(self._amounts)
        sent_at = time.monotonic()

        def answered(reply: Reply) -> None:
            now = time.monotonic()
            self.under_way -= 1
            if reply.rpc is not None:
                self.offsets[auction_id].append(read_receipt(reply.rpc.data).offset)
                if sent_at >= self.count_from:
                    self.latencies.add(now - sent_at)
            elif reply.error is not None:
                self.refused[reply.error.message.partition(":")[0]] += 1
            if now < self.stop_at and not socket.closed:
                self._place(socket, auction_id)

        socket.call("auctions.place_bid", bid(auction_id, amount, f"{self._run}-{amount}"), answered)

    async def finish(self) -> None:
        """Wait for the last answers. Raises BenchmarkError when they stay out or were not what bidders expect."""
        if not await wait_until(lambda: not self.under_way, 20.0):
            raise BenchmarkError(f"{self.under_way} bids were never answered")
        strange = {word: count for word, count in self.refused.items() if word not in EXPECTED}
        if strange:
            raise BenchmarkError(f"bids were refused: {strange}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of bids gave."""

    per_s: float
    latencies: Latencies
    refused_share: float
    cpu_us: dict[str, float]
    """CPU per accepted bid by group of processes."""


async def measure(system: System) -> list[Figure]:
    """Run the hot auction and the many, each with its baselines."""
    figures = []
    for auctions in (1, MANY):
        direct = await _baseline(system, "direct", auctions)
        end_to_end = await _on_sockets(system, auctions, "load.benchmarks.one_by_one", "serve")
        outcome = await _measure_system(system, auctions)
        floor = await _on_sockets(system, auctions, "load.benchmarks.grouped_floor")
        figures += _figures(auctions, outcome, direct, end_to_end, floor)
    return figures


def _figures(
    auctions: int, outcome: Outcome, direct: Result, end_to_end: Outcome, floor: Outcome
) -> list[Figure]:
    where = "1 hot auction" if auctions == 1 else f"{auctions} auctions"
    notes: dict[str, float | int | str] = {
        "latency": outcome.latencies.in_words(),
        "refused as too low": f"{outcome.refused_share:.1%}",
        **{f"CPU µs per bid {name}": used for name, used in outcome.cpu_us.items()},
        "baseline latency": f"p50 {direct.p50_ms:.1f}  p95 {direct.p95_ms:.1f}  p99 {direct.p99_ms:.1f} ms",
    }
    is_baseline = "a transaction per bid, 32 connections, no sockets"
    rate = Figure(
        benchmark="bids",
        what=f"durable bids, {where}, {BIDDERS} bidders",
        value=outcome.per_s,
        unit="bids/s",
        baseline=direct.per_s,
        baseline_is=is_baseline,
        target=15_000 if auctions == 1 else None,
        better="higher",
        notes=notes,
    )
    latency = Figure(
        benchmark="bids",
        what=f"p95 from bid to durable answer, {where}",
        value=outcome.latencies.ms(0.95),
        unit="ms",
        baseline=direct.p95_ms,
        baseline_is=is_baseline,
        target=50 if auctions == 1 else None,
    )
    both_on_sockets = Figure(
        benchmark="bids",
        what=f"the same, {where}, against one transaction per bid over websockets",
        value=outcome.per_s,
        unit="bids/s",
        baseline=end_to_end.per_s,
        baseline_is="the same generator, a bare websocket server, a transaction per bid",
        target=10 if auctions == 1 else None,
        better="higher",
        against="ratio",
        notes={"baseline latency": end_to_end.latencies.in_words()},
    )
    against_floor = Figure(
        benchmark="bids",
        what=f"the same, {where}, against the floor of bids that share transactions",
        value=outcome.per_s,
        unit="bids/s",
        baseline=floor.per_s,
        baseline_is="the same generator, a bare websocket server, group commit into one table, no rules or events",
        better="higher",
        notes={
            "floor latency": floor.latencies.in_words(),
            **{f"floor CPU µs per bid {name}": used for name, used in floor.cpu_us.items() if used >= 1},
        },
    )
    return [rate, both_on_sockets, against_floor, latency]


async def _measure_system(system: System, auctions: int) -> Outcome:
    accounts = await system.accounts(ACCOUNTS)
    seller = await open_socket(system.websocket_url, accounts[0].token)
    ends = [time.time() + 3600] * auctions
    auction_ids = await open_auctions([seller], ends, increments=ONE_BY_ONE)
    tokens = [
        account.token for account, _ in zip(itertools.cycle(accounts[1:]), range(BIDDERS), strict=False)
    ]
    bidders = await open_sockets(system.websocket_url, tokens)
    try:
        outcome, offsets = await _bid(bidders, auction_ids, SECONDS, system.groups())
        for auction_id in auction_ids:
            await _check_counts(seller, auction_id, offsets[auction_id])
    finally:
        for socket in (seller, *bidders):
            socket.close()
    return outcome


async def _bid(
    bidders: Sequence[Socket], auction_ids: Sequence[str], seconds: float, groups: Mapping[str, Sequence[int]]
) -> tuple[Outcome, dict[str, list[int]]]:
    now = time.monotonic()
    bidding = Bidding(auction_ids, stop_at=now + WARM_UP_S + seconds, count_from=now + WARM_UP_S)
    bidding.start(bidders)
    await asyncio.sleep(WARM_UP_S)
    meter = CpuMeter(groups)
    await asyncio.sleep(seconds)
    used_s = meter.used_s()
    await bidding.finish()
    elapsed_s = max(time.monotonic() - bidding.count_from, seconds)
    accepted, refused = len(bidding.latencies), sum(bidding.refused.values())
    cpu_us = {name: used * 1e6 / max(accepted, 1) for name, used in used_s.items()}
    share = refused / max(refused + sum(map(len, bidding.offsets.values())), 1)
    return Outcome(accepted / elapsed_s, bidding.latencies, share, cpu_us), bidding.offsets


async def _check_counts(seller: Socket, auction_id: str, offsets: list[int]) -> None:
    """Compare what was acknowledged with what the auction says. Raises BenchmarkError."""
    told = msgspec.json.decode(await seller.rpc("auctions.get_auction", {"auction_id": auction_id}))
    if told["bid_count"] != len(offsets):
        raise BenchmarkError(f"{len(offsets)} bids were acknowledged, the auction counts {told['bid_count']}")
    unique = sorted(set(offsets))
    # Event 1 is the opening; nobody else bids, so that the bids' numbers follow one another.
    if len(unique) != len(offsets) or unique != list(range(2, len(offsets) + 2)):
        raise BenchmarkError("event numbers of acknowledged bids have gaps or repeats")


async def _baseline(system: System, mode: str, auctions: int) -> Result:
    """Run the direct baseline in a process of its own, as the product's server is one."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "load.benchmarks.one_by_one",
        "0",
        mode,
        system.postgres_dsn(),
        str(auctions),
        str(BIDDERS),
        str(BASELINE_SECONDS),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    out, errors = await process.communicate()
    if process.returncode:
        raise BenchmarkError(f"the baseline failed: {errors.decode()[-500:]}")
    return Result(**json.loads(out))


async def _on_sockets(system: System, auctions: int, module: str, *mode: str) -> Outcome:
    """Run the same generator against a bare server on the same PostgreSQL."""
    words = (*mode, system.postgres_dsn(), str(auctions))
    async with small_server(system.home, module, *words) as server:
        bidders = await open_sockets(server.url, [""] * BIDDERS)
        groups = {**system.groups(), "server": [server.pid]}
        try:
            ids = [str(number) for number in range(auctions)]
            outcome, _ = await _bid(bidders, ids, BASELINE_SECONDS, groups)
        finally:
            for socket in bidders:
                socket.close()
    return outcome
