"""Registering and signing in at a fixed rate, and whether bids notice: argon2id shares the cores with them.

First a stream of bids alone, then the same stream while people register and sign in, each at its rate on time whether
or not earlier ones were answered. Every answer must be 200 or 201, so that nothing measured was a refusal.
"""

import asyncio
import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence

import httpx

from load.accounts import PASSPHRASE, http_client
from load.benchmarks.machine import CpuMeter
from load.benchmarks.programs import BenchmarkError, System
from load.benchmarks.report import Figure
from load.client import Reply, Socket, open_socket, open_sockets
from load.latencies import Latencies
from load.market import ONE_BY_ONE, bid, open_auctions
from load.waiting import wait_until

RATE = 2
"""Registrations a second, and as many sign-ins: on two idle cores the hasher of one process does thrice this."""

BID_RATE = 200
BIDDERS = 100
ACCOUNTS = 51
SECONDS = 10.0


async def measure(system: System) -> list[Figure]:
    """Bid alone, then beside registrations and sign-ins."""
    accounts = await system.accounts(ACCOUNTS)
    seller = await open_socket(system.websocket_url, accounts[0].token)
    auction_ids = await open_auctions([seller], [time.time() + 3600] * BIDDERS, increments=ONE_BY_ONE)
    tokens = [account.token for account in itertools.islice(itertools.cycle(accounts[1:]), BIDDERS)]
    bidders = await open_sockets(system.websocket_url, tokens)
    try:
        await _bid_for(bidders, auction_ids, 1.0)
        alone = await _bid_for(bidders, auction_ids, SECONDS)
        meter = CpuMeter(system.groups())
        async with http_client(system.base_url) as http, asyncio.TaskGroup() as group:
            bidding = group.create_task(_bid_for(bidders, auction_ids, SECONDS))
            people = group.create_task(_sign_in_for(http, [account.name for account in accounts], SECONDS))
        used_s = meter.used_s()
    finally:
        for socket in (seller, *bidders):
            socket.close()
    beside, signing_in = bidding.result(), people.result()
    notes: dict[str, float | int | str] = {
        f"CPU of {name}": f"{used / SECONDS:.0%} of a core" for name, used in used_s.items()
    }
    return [
        *(
            Figure(
                benchmark="sign-in",
                what=f"p95 to {name}, {RATE} registrations and {RATE} logins/s beside {BID_RATE} bids/s",
                value=samples.ms(0.95),
                unit="ms",
                notes={"latency": samples.in_words(), **(notes if name == "register" else {})},
            )
            for name, samples in signing_in.items()
        ),
        Figure(
            benchmark="sign-in",
            what=f"p95 from bid to durable answer beside them, {BID_RATE} bids/s",
            value=beside.ms(0.95),
            unit="ms",
            baseline=alone.ms(0.95),
            baseline_is="the same bids alone",
            target=200,
            notes={"latency": beside.in_words(), "alone": alone.in_words()},
        ),
    ]


async def _at_rate(count: int, rate: float, send: Callable[[int], Awaitable[None]]) -> None:
    """Start `count` jobs on time, however long each takes."""
    started_at = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            await asyncio.sleep(max(0.0, started_at + number / rate - time.monotonic()))
            group.create_task(_awaited(send(number)))


async def _awaited(job: Awaitable[None]) -> None:
    await job


async def _sign_in_for(http: httpx.AsyncClient, names: Sequence[str], seconds: float) -> dict[str, Latencies]:
    latencies = {"register": Latencies(), "login": Latencies()}
    run = secrets.token_hex(6)

    async def send(number: int) -> None:
        what = "login" if number % 2 else "register"
        name = names[number // 2 % len(names)] if number % 2 else f"{run}-{number}"
        body = {"email": f"{name}@load.example", "password": PASSPHRASE}
        if what == "register":
            body["display_name"] = name
        at = time.monotonic()
        answer = await http.post(f"/v1/auth/{what}", json=body)
        latencies[what].add(time.monotonic() - at)
        if not answer.is_success:
            raise BenchmarkError(f"{what} was refused: HTTP {answer.status_code} {answer.text[:200]}")

    await _one_error(_at_rate(int(2 * RATE * seconds), 2 * RATE, send))
    return latencies


async def _bid_for(sockets: Sequence[Socket], auction_ids: Sequence[str], seconds: float) -> Latencies:
    """Bid at the rate, each socket on an auction of its own, so that no bid is too low."""
    latencies, refused = Latencies(), list[str]()
    run, amounts = secrets.token_hex(6), itertools.count(int(time.time() * 1000))
    count = int(BID_RATE * seconds)

    async def send(number: int) -> None:
        sent_at = time.monotonic()

        def answered(reply: Reply) -> None:
            latencies.add(time.monotonic() - sent_at)
            if reply.error is not None:
                refused.append(reply.error.message)

        place = number % len(sockets)
        data = bid(auction_ids[place], next(amounts), f"{run}-{number}")
        sockets[place].call("auctions.place_bid", data, answered)

    await _one_error(_at_rate(count, BID_RATE, send))
    if not await wait_until(lambda: len(latencies) == count, 20.0):
        raise BenchmarkError(f"{count - len(latencies)} bids were never answered")
    if refused:
        raise BenchmarkError(f"{len(refused)} bids were refused, first: {refused[0]}")
    return latencies


async def _one_error(job: Awaitable[None]) -> None:
    try:
        await job
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
