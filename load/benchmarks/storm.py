"""Storms: thousands who connect at once, and ten thousand who lost their connection and come back.

(a) 5,000 connects a second, each with an access token the server has not seen: how long until the client is in, and
what everybody's CPU goes to. (b) 10,000 clients that follow 20 auctions are cut off in one moment and return as the
SDKs do; each must resume with the exact sequence. During both 500 watchers of another auction get 50 events a second:
what do they see of it?
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from load.benchmarks.audience import RATE, WATCHERS
from load.benchmarks.machine import CpuMeter
from load.benchmarks.programs import ROOT, BenchmarkError, System
from load.benchmarks.report import Figure
from load.benchmarks.tokens import mint_tokens
from load.client import Socket, open_socket
from load.followers import Follower, Score, following
from load.latencies import Latencies
from load.market import ONE_BY_ONE, bid, open_auctions
from load.waiting import wait_until

CONNECTS = 6_000
CONNECTS_PER_S = 5_000
RETURNING = 10_000
AUCTIONS = 20
"""What the returning clients follow, one each; a bid a second on each."""
CALM_S = 4.0
RETURN_TIMEOUT_S = 90.0
SETTLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Crowd:
    """The watchers' process."""

    process: asyncio.subprocess.Process

    def begin(self, phase: str) -> None:
        """Count what comes from now on under this name."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"phase {phase}\n".encode())

    async def end(self) -> dict[str, Any]:
        """Return the latencies by phase. Raises BenchmarkError when a watcher missed, doubled or lost anything."""
        out, errors = await self.process.communicate(b"end\n")
        if self.process.returncode or not out:
            raise BenchmarkError(f"the watchers failed: {errors.decode()[-500:]}")
        told = json.loads(out)
        if any(told["wrong"].values()):
            raise BenchmarkError(f"watchers were harmed: {told['wrong']}")
        return dict(told["phases"])


async def measure(system: System) -> list[Figure]:
    """Let it be calm, then storm, then cut everybody off."""
    accounts = await system.accounts(2)
    seller = await open_socket(system.websocket_url, accounts[0].token)
    bidder = await open_socket(system.websocket_url, accounts[1].token)
    watched, *followed = await open_auctions(
        [seller], [time.time() + 3600] * (AUCTIONS + 1), increments=ONE_BY_ONE
    )
    tokens = mint_tokens(system.home, system.base_url, CONNECTS + RETURNING)
    os.nice(5)  # the generator of a storm is many machines elsewhere: it shall not take the server's core
    async with _crowd(system, watched, accounts[1].token) as crowd:
        crowd.begin("calm")
        await asyncio.sleep(CALM_S)
        crowd.begin("connects")
        connects = await _storm(system, tokens[:CONNECTS])
        crowd.begin("between")
        returns = await _come_back(system, crowd, bidder, followed, tokens[CONNECTS:])
        phases = await crowd.end()
    seller.close()
    bidder.close()
    return _figures(connects, returns, phases)


@dataclass(frozen=True, slots=True)
class Connects:
    """What a storm of connects met."""

    latencies: Latencies
    score: Score
    offered_per_s: float
    per_s: float
    cpu_us: dict[str, float]
    """Per connect, by group of processes."""


@dataclass(frozen=True, slots=True)
class Returns:
    """What clients that came back met."""

    score: Score
    all_back_s: float
    server_us: float


def _figures(connects: Connects, returns: Returns, phases: dict[str, Any]) -> list[Figure]:
    calm, storm, back = phases["calm"], phases["connects"], phases["return"]
    is_calm = f"the same {WATCHERS} watchers, {RATE} events/s, before the storm"
    return [
        Figure(
            benchmark="storm",
            what=f"p95 from first attempt to connected, {CONNECTS:,} new tokens at {CONNECTS_PER_S:,}/s offered",
            value=connects.latencies.ms(0.95),
            unit="ms",
            notes={
                "connect": connects.latencies.in_words(),
                "offered/s": connects.offered_per_s,
                "connected/s": connects.per_s,
                "told to come again": connects.score.failures,
                "CPU µs per connect": ", ".join(f"{n} {us:,.0f}" for n, us in connects.cpu_us.items()),
            },
        ),
        _noticed("connects", storm, calm, is_calm),
        Figure(
            benchmark="storm",
            what=f"{RETURNING:,} clients cut off at once: until the last has resumed",
            value=returns.all_back_s,
            unit="s",
            notes={
                "each": returns.score.returns.in_words(),
                "told to come again": returns.score.failures,
                "resumed with the exact sequence": returns.score.resumed,
                "server CPU µs per return": returns.server_us,
            },
        ),
        _noticed("returns", back, calm, is_calm),
    ]


def _noticed(what: str, seen: dict[str, float], calm: dict[str, float], is_calm: str) -> Figure:
    return Figure(
        benchmark="storm",
        what=f"p99 from bid to each of {WATCHERS} watchers during the {what}",
        value=seen["p99_ms"],
        unit="ms",
        baseline=calm["p99_ms"],
        baseline_is=is_calm,
        notes={
            "p50 ms": seen["p50_ms"],
            "p95 ms": seen["p95_ms"],
            "slowest ms": seen["max_ms"],
            "deliveries": seen["deliveries"],
            "calm p50 ms": calm["p50_ms"],
            "calm slowest ms": calm["max_ms"],
        },
    )


@contextlib.asynccontextmanager
async def _crowd(system: System, auction_id: str, token: str) -> AsyncIterator[Crowd]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "load.benchmarks.audience",
        system.websocket_url,
        auction_id,
        token,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        if (await asyncio.wait_for(process.stdout.readline(), 60)).strip() != b"ready":
            raise BenchmarkError("the watchers did not sit down")
        yield Crowd(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _storm(system: System, tokens: Sequence[str]) -> Connects:
    """Start connects on time, whatever becomes of the earlier ones; everybody gets in sooner or later."""
    score, latencies = Score(), Latencies()
    meter, began = CpuMeter(system.groups()), time.monotonic()
    followers = [Follower(system.websocket_url, token, (), score) for token in tokens]
    waiting = dict.fromkeys(followers, 0.0)
    offered_at = 0.0

    async def enter(number: int, follower: Follower) -> None:
        nonlocal offered_at
        await asyncio.sleep(max(0.0, began + number / CONNECTS_PER_S - time.monotonic()))
        waiting[follower] = offered_at = time.monotonic()
        follower.on_following = lambda: latencies.add(time.monotonic() - waiting[follower])
        await follower.run()

    tasks = [asyncio.create_task(enter(number, one)) for number, one in enumerate(followers)]
    try:
        if not await wait_until(lambda: len(latencies) == len(tokens), RETURN_TIMEOUT_S, 0.02):
            raise BenchmarkError(f"{len(tokens) - len(latencies)} clients never got in")
        elapsed_s = time.monotonic() - began
        cpu_us = {name: used_s * 1e6 / len(tokens) for name, used_s in meter.used_s().items()}
    finally:
        for follower in followers:
            follower.stop()
        await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(SETTLE_S)
    rate = len(tokens) / max(offered_at - began, 1e-9)
    return Connects(latencies, score, rate, len(tokens) / elapsed_s, cpu_us)


async def _come_back(
    system: System, crowd: Crowd, bidder: Socket, auctions: Sequence[str], tokens: Sequence[str]
) -> Returns:
    """Have everybody follow, cut them off, and wait until each has resumed and taken every event."""
    score = Score()
    followers = [
        Follower(system.websocket_url, token, (f"auctions:{auctions[number % len(auctions)]}",), score)
        for number, token in enumerate(tokens)
    ]
    async with following(followers, spread_s=len(tokens) / 1_000):
        bidding = asyncio.create_task(_bid_on(bidder, auctions))
        if not await wait_until(lambda: all(f.is_following for f in followers), RETURN_TIMEOUT_S, 0.1):
            raise BenchmarkError("not everybody got in before the cut")
        await asyncio.sleep(SETTLE_S)
        meter, cut_at = CpuMeter(system.groups()), time.monotonic()
        crowd.begin("return")
        score.failures = 0
        for follower in followers:
            follower.cut()
        if not await wait_until(lambda: len(score.returns) >= len(followers), RETURN_TIMEOUT_S, 0.02):
            raise BenchmarkError(f"{len(followers) - len(score.returns)} clients never came back")
        all_back_s = time.monotonic() - cut_at
        crowd.begin("after")
        server_us = meter.used_s()["server"] * 1e6 / len(followers)
        bidding.cancel()
        await _await_heads(bidder, followers)
    if score.violations:
        raise BenchmarkError(f"{len(score.violations)} violations, such as {score.violations[0]}")
    return Returns(score, all_back_s, server_us)


async def _bid_on(bidder: Socket, auctions: Sequence[str]) -> None:
    """Bid once a second on each auction until cancelled."""
    number = int(time.time() * 1000)
    while True:
        for auction_id in auctions:
            number += 1
            bidder.call("auctions.place_bid", bid(auction_id, number, f"storm-{number}"), lambda _reply: None)
            await asyncio.sleep(1 / len(auctions))


async def _await_heads(bidder: Socket, followers: Sequence[Follower]) -> None:
    """Wait until every follower stands where its channel does. Raises BenchmarkError."""
    await asyncio.sleep(0.5)
    channels = {channel for follower in followers for channel in follower.positions}
    heads = {channel: (await bidder.subscribe(channel)).offset for channel in channels}
    done = await wait_until(
        lambda: all(f.positions[c] == heads[c] for f in followers for c in f.positions), 20.0, 0.1
    )
    if not done:
        behind = sum(f.positions[c] != heads[c] for f in followers for c in f.positions)
        raise BenchmarkError(f"{behind} clients miss the end of their channel")
