"""From a bid to the last of 1,000 watchers of its auction, 200 bids a second.

Every bid is durable before anybody sees it, so this is a commit and a thousand deliveries. Watchers are sockets that
subscribe to the auction's replayed channel: each must see every event, in order. The baseline is the same generator,
audience and rate on a server that only passes on what it gets.
"""

import asyncio
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
from picows import WSFrame, WSTransport

from load.benchmarks.machine import CpuMeter
from load.benchmarks.programs import BenchmarkError, System, small_server
from load.benchmarks.report import Figure
from load.client import OnPublication, Reply, Socket, open_socket, open_sockets
from load.latencies import Latencies
from load.market import ONE_BY_ONE, bid, open_auctions, read_receipt
from load.waiting import gather_some, wait_until

WATCHERS = 1_000
RATE = 200
"""Bids a second."""
BIDDERS = 40
ACCOUNTS = BIDDERS + 1
SECONDS = 8.0
WARM_UP_S = 2.0
PUSH_BYTES_MIN = 64
"""Smaller frames are pings and replies: they go the ordinary way."""


_EVENT = {
    "type": "bid_placed",
    "at": "2026-01-01T12:00:00.000Z",
    "bid_id": "019aa0f0-0000-7000-8000-000000000000",
    "bidder": "b4k8tq2xw7",
    "price": 1_767_268_800_000,
    "minimum_bid": 1_767_268_800_001,
    "leader": "b4k8tq2xw7",
    "bid_count": 1_234,
    "reserve_met": True,
    "ends_at": "2026-01-01T13:00:00.000Z",
}
"""What the floor passes on: as an auction's event, to the byte or two."""

_LAST_OFFSET = b'"offset":'


class Watcher(Socket):
    """Notes when it had reached which event; reading more of a thousand copies would measure the generator."""

    __slots__ = ("disorder", "position", "reached")

    def __init__(self, on_publication: OnPublication | None = None) -> None:
        """Watch from the position that the subscription starts at."""
        super().__init__(on_publication)
        self.reached: list[tuple[int, float]] = []
        """Event number and time after each frame, ascending."""
        self.position = -1
        """Number of the newest event; negative before the subscription."""
        self.disorder = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Note the last number of a frame of events; a frame holds one per line, without gaps."""
        if self.position < 0 or frame.payload_size < PUSH_BYTES_MIN:
            super().on_ws_frame(transport, frame)
            return
        payload = frame.get_payload_as_bytes()
        last = last_offset(payload)
        self.disorder += last != self.position + payload.count(b"\n") + 1
        self.position = last
        self.reached.append((last, time.monotonic()))


def last_offset(payload: bytes) -> int:
    """Return the number of the last publication of a frame."""
    start = payload.rindex(_LAST_OFFSET) + len(_LAST_OFFSET)
    end = start
    while payload[end] in b"0123456789":
        end += 1
    return int(payload[start:end])


def completions(histories: Sequence[Sequence[tuple[int, float]]], first: int, last: int) -> dict[int, float]:
    """Return when each event from first to last had reached the last watcher; events somebody missed are left out."""
    complete_at: dict[int, float] = {}
    for number, history in enumerate(histories):
        at = 0
        mine: dict[int, float] = {}
        for event in range(first, last + 1):
            while at < len(history) and history[at][0] < event:
                at += 1
            if at == len(history):
                break
            mine[event] = history[at][1]
        seen = complete_at.items() if number else mine.items()
        complete_at = {event: max(at_s, mine[event]) for event, at_s in seen if event in mine}
    return complete_at


@dataclass(frozen=True, slots=True)
class Watched:
    """What a run of bids gave."""

    to_last: Latencies
    """From each bid to the last of its watchers."""
    replies: Latencies
    frames: int
    """What all watchers got: less than events x watchers, as far as events were joined."""
    deliveries: int
    used_s: dict[str, float]
    """CPU seconds by group of processes."""


@dataclass(frozen=True, slots=True)
class Bidding:
    """How bids are said to a server: the method, and the data of each."""

    method: str
    body: Callable[[int], bytes]


async def measure(system: System) -> list[Figure]:
    """Let an audience watch an auction, then the floor's publications."""
    watched = await _of_system(system)
    floor = await _of_floor(system.home)
    return [
        Figure(
            benchmark="watch",
            what=f"p95 from bid to the last of {WATCHERS:,} watchers, {RATE} bids/s",
            value=watched.to_last.ms(0.95),
            unit="ms",
            baseline=floor.to_last.ms(0.95),
            baseline_is="a server that passes on: asyncio.Protocol on uvloop, no rules, no database",
            target=25,
            notes={
                "to the last watcher": watched.to_last.in_words(),
                "to the bidder's answer": watched.replies.in_words(),
                **_work(watched),
                "floor to the last watcher": floor.to_last.in_words(),
                **{f"floor {what}": figure for what, figure in _work(floor).items()},
            },
        )
    ]


def _work(watched: Watched) -> dict[str, float | int | str]:
    shares = {f"CPU {name}": f"{used / SECONDS:.0%} of a core" for name, used in watched.used_s.items()}
    return {
        "deliveries/s": watched.deliveries / SECONDS,
        "events per frame": watched.deliveries / max(watched.frames, 1),
        **shares,
    }


async def _of_system(system: System) -> Watched:
    """Open an auction, let the audience watch, bid at the fixed rate."""
    accounts = await system.accounts(ACCOUNTS)
    seller = await open_socket(system.websocket_url, accounts[0].token)
    bidders: list[Socket] = []
    try:
        (auction_id,) = await open_auctions([seller], [time.time() + 3600], increments=ONE_BY_ONE)
        bidders = await open_sockets(system.websocket_url, [account.token for account in accounts[1:]])
        run, first = secrets.token_hex(6), int(time.time() * 1000)
        bidding = Bidding(
            "auctions.place_bid", lambda number: bid(auction_id, first + number, f"{run}-{number}")
        )
        return await _watch(system.websocket_url, f"auctions:{auction_id}", bidders, bidding, system.groups())
    finally:
        for socket in (seller, *bidders):
            socket.close()


async def _of_floor(home: Path) -> Watched:
    """Do the same with the floor's publications, as long as the events of an auction."""
    data = msgspec.json.encode({"channel": "auctions:floor", "items": [_EVENT]})
    async with small_server(home, "load.benchmarks.joining_floor") as server:
        bidders = await open_sockets(server.url, [""] * BIDDERS)
        try:
            groups = {"generator": [os.getpid()], "server": [server.pid]}
            bidding = Bidding("publish", lambda _number: data)
            return await _watch(server.url, "auctions:floor", bidders, bidding, groups)
        finally:
            for socket in bidders:
                socket.close()


async def _watch(
    url: str, channel: str, bidders: Sequence[Socket], bidding: Bidding, groups: Mapping[str, Sequence[int]]
) -> Watched:
    """Bid at the rate before an audience. Raises BenchmarkError when somebody missed an event or saw one twice."""
    watchers = await open_sockets(url, [""] * WATCHERS, make=Watcher)
    try:
        audience = await sit_down(watchers, channel)
        warm_up = int(RATE * WARM_UP_S)
        await _bid(bidders, bidding, range(warm_up))
        meter = CpuMeter(groups)
        sent_at, replies = await _bid(bidders, bidding, range(warm_up, warm_up + int(RATE * SECONDS)))
        used_s = meter.used_s()
        if not await wait_until(lambda: all(w.position >= max(sent_at) for w in audience), 30.0):
            raise BenchmarkError("watchers missed events")
        if any(watcher.disorder for watcher in audience):
            raise BenchmarkError("events arrived out of order, doubled or not at all")
    finally:
        for socket in watchers:
            socket.close()
    first, last = min(sent_at), max(sent_at)
    complete_at = completions([watcher.reached for watcher in audience], first, last)
    to_last = Latencies(complete_at[offset] - at for offset, at in sent_at.items())
    frames = sum(offset >= first for watcher in audience for offset, _ in watcher.reached)
    return Watched(to_last, replies, frames, len(sent_at) * WATCHERS, used_s)


async def sit_down(watchers: Sequence[Socket], channel: str) -> list[Watcher]:
    """Subscribe every watcher; each counts from where its subscription starts."""
    replies = await gather_some([partial(watcher.subscribe, channel) for watcher in watchers])
    audience = []
    for watcher, reply in zip(watchers, replies, strict=True):
        assert isinstance(watcher, Watcher)
        watcher.position = reply.offset
        audience.append(watcher)
    return audience


async def _bid(
    bidders: Sequence[Socket], bidding: Bidding, numbers: range
) -> tuple[dict[int, float], Latencies]:
    """Bid at the rate; return when each accepted bid was sent, by event number, and the answers' latencies."""
    sent_at: dict[int, float] = {}
    replies = Latencies()
    started_at = time.monotonic()
    under_way, refused = 0, Counter[str]()

    def place(number: int) -> None:
        nonlocal under_way
        at = time.monotonic()

        def answered(reply: Reply) -> None:
            nonlocal under_way
            under_way -= 1
            if reply.rpc is not None:
                replies.add(time.monotonic() - at)
                sent_at[read_receipt(reply.rpc.data).offset] = at
            elif reply.error is not None:
                refused[reply.error.message] += 1

        under_way += 1
        bidders[number % len(bidders)].call(bidding.method, bidding.body(number), answered)

    for nth, number in enumerate(numbers):
        await asyncio.sleep(max(0.0, started_at + nth / RATE - time.monotonic()))
        place(number)
    if not await wait_until(lambda: not under_way, 30.0):
        raise BenchmarkError(f"{under_way} bids were not answered within 30 s")
    if len(sent_at) < len(numbers) * 0.9:
        raise BenchmarkError(f"of {len(numbers)} bids {len(sent_at)} were accepted; {refused.most_common(2)}")
    return sent_at, replies
