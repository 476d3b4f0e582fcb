"""REST under steady load: 200 requests a second while 2,000 sockets watch.

Of ten requests four read an auction, one lists auctions, two search listings, two bid and one lists something new.
Requests start on time whether or not earlier ones were answered, so that a stall shows in the percentiles. Each bid
reaches its watchers, 40 of them, while the others are served.
"""

import asyncio
import contextlib
import itertools
import json
import secrets
import time
from collections.abc import AsyncIterator
from functools import partial
from urllib.parse import urlsplit

from load.benchmarks.machine import CpuMeter
from load.benchmarks.programs import BenchmarkError, System
from load.benchmarks.report import Figure
from load.client import open_socket, open_sockets
from load.latencies import Latencies
from load.market import ONE_BY_ONE, open_auctions
from load.waiting import gather_some

RATE = 200
SECONDS = 8.0
SOCKETS = 2000
AUCTIONS = 50
ACCOUNTS = 24
TURNS = (
    "get_auction",
    "search_listings",
    "get_auction",
    "place_bid",
    "list_auctions",
    "get_auction",
    "create_listing",
    "search_listings",
    "get_auction",
    "place_bid",
)
TARGETS_MS = {"place_bid": 50, "create_listing": 50}
READ_TARGET_MS = 20
CONNECTIONS_MAX = 256


class HttpPool:
    """Keep-alive connections to one server; HTTP/1.1, just enough of it to add no time of its own."""

    def __init__(self, base_url: str) -> None:
        """Open nothing yet."""
        parts = urlsplit(base_url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._gate = asyncio.Semaphore(CONNECTIONS_MAX)

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        async with self._gate:
            connection = (
                self._free.pop() if self._free else await asyncio.open_connection(self._host, self._port)
            )
            yield connection
            self._free.append(connection)

    async def request(self, method: str, path: str, body: bytes, *, token: str, key: str) -> int:
        """Return the status, after the whole body was read."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nIdempotency-Key: {key}\r\n\r\n"
        )
        async with self._connection() as (reader, writer):
            writer.write(head.encode() + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            size = next(line for line in answer.split("\r\n") if line.startswith("content-length:"))
            await reader.readexactly(int(size.partition(":")[2]))
            return int(answer.split(" ", 2)[1])

    def close(self) -> None:
        """Close the connections."""
        for _, writer in self._free:
            writer.close()


async def measure(system: System) -> list[Figure]:
    """Open auctions and sockets, then send requests at the fixed rate."""
    accounts = await system.accounts(ACCOUNTS)
    seller = await open_socket(system.websocket_url, accounts[0].token)
    ids = await open_auctions([seller], [time.time() + 3600] * AUCTIONS, increments=ONE_BY_ONE)
    sockets = await open_sockets(system.websocket_url, [""] * SOCKETS)
    await gather_some([partial(s.subscribe, f"auctions:{ids[n % AUCTIONS]}") for n, s in enumerate(sockets)])
    pool = HttpPool(system.base_url)
    tokens = [account.token for account in accounts[1:]]
    try:
        await _send_for(pool, ids, tokens, 1.0)
        meter = CpuMeter(system.groups())
        latencies = await _send_for(pool, ids, tokens, SECONDS)
        used_s = meter.used_s()
    finally:
        pool.close()
        for socket in (seller, *sockets):
            socket.close()
    cpu: dict[str, float | int | str] = {
        f"CPU ms per request {name}": used * 1000 / (RATE * SECONDS) for name, used in used_s.items()
    }
    figures = []
    for name, samples in latencies.items():
        notes: dict[str, float | int | str] = {"latency": samples.in_words(), **cpu}
        cpu = {}  # with the first one is enough
        figures.append(
            Figure(
                benchmark="rest",
                what=f"p95 of {name}, {RATE} requests/s, {SOCKETS} sockets",
                value=samples.ms(0.95),
                unit="ms",
                target=TARGETS_MS.get(name, READ_TARGET_MS),
                notes=notes,
            )
        )
    return figures


async def _send_for(
    pool: HttpPool, ids: list[str], tokens: list[str], seconds: float
) -> dict[str, Latencies]:
    latencies = {name: Latencies() for name in dict.fromkeys(TURNS)}
    run, amounts = secrets.token_hex(6), itertools.count(int(time.time() * 1000))
    failures: list[str] = []

    async def send(number: int) -> None:
        name = TURNS[number % len(TURNS)]
        request = _request(name, number, ids[number % len(ids)], next(amounts))
        at = time.monotonic()
        status = await pool.request(*request, token=tokens[number % len(tokens)], key=f"{run}-{number}")
        latencies[name].add(time.monotonic() - at)
        if status >= 400 and not (name == "place_bid" and status == 422):  # bids may cross: bid_too_low
            failures.append(f"{name} {status}")

    started_at = time.monotonic()
    sending = []
    for number in range(int(RATE * seconds)):
        await asyncio.sleep(max(0.0, started_at + number / RATE - time.monotonic()))
        sending.append(asyncio.create_task(send(number)))
    await asyncio.gather(*sending)
    if failures:
        raise BenchmarkError(f"{len(failures)} requests failed, first: {failures[0]}")
    return latencies


def _request(name: str, number: int, auction_id: str, amount: int) -> tuple[str, str, bytes]:
    """Return method, path and body of one request."""
    if name == "get_auction":
        return "GET", f"/v1/auctions/{auction_id}", b""
    if name == "list_auctions":
        return "GET", "/v1/auctions?status=live&limit=20", b""
    if name == "search_listings":
        return "GET", f"/v1/listings?q=load+lot+{number % 50}&limit=20", b""
    if name == "place_bid":
        return "POST", f"/v1/auctions/{auction_id}/bids", json.dumps({"amount": amount}).encode()
    words = {"title": f"Load bag {number}", "description": "Made by a benchmark.", "category": "other"}
    return "POST", "/v1/listings", json.dumps({**words, "condition": "used"}).encode()
