"""Fan-out of the realtime core: 1,000 subscribers of one channel, 200-byte JSON, against the raw uvloop floor.

Two ways: one message at a time at a fixed 50,000 deliveries a second (CPU per delivery), and ten messages joined in one
tick, as fast as they are taken (deliveries per second). Core and floor run one after the other, twice, on one core,
the generator on another; the median counts.
"""

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from picows import WSFrame, WSTransport

from load.benchmarks.machine import cpu_s, pin
from load.benchmarks.programs import BenchmarkError, SmallServer, small_server
from load.benchmarks.report import Figure
from load.client import OnPublication, Reply, Socket, gather_some, open_socket, open_sockets
from load.latencies import Latencies
from load.waiting import wait_until

CORE, FLOOR = "tests.support.measured_app", "load.benchmarks.floor"
CHANNEL = "auctions:measured"
SUBSCRIBERS = 1_000
FIXED_RATE = 50
"""Messages a second; times the subscribers: deliveries a second."""
JOINED = 10
WINDOW = 1
"""Requests of ten messages under way: two at a time could be joined to twenty, on one side only."""
SECONDS = 4.0
REPETITIONS = 2
PING_BYTES_MAX = 16
"""Frames up to this size are pings: they go the ordinary way."""


class Counter:
    """Deliveries of all subscribers together."""

    def __init__(self) -> None:
        """Start at zero."""
        self.deliveries = self.frames = 0
        self.on_progress: Callable[[], None] | None = None


class Subscriber(Socket):
    """Counts publications instead of decoding them: a frame holds one per line."""

    __slots__ = ("counter",)

    def __init__(self, on_publication: OnPublication | None = None) -> None:
        """Count once a counter is given."""
        super().__init__(on_publication)
        self.counter: Counter | None = None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Count the lines of a frame of publications."""
        counter = self.counter
        if counter is None or frame.payload_size <= PING_BYTES_MAX:
            super().on_ws_frame(transport, frame)
            return
        counter.deliveries += frame.get_payload_as_bytes().count(b"\n") + 1
        counter.frames += 1
        if counter.on_progress is not None:
            counter.on_progress()


@dataclass(frozen=True, slots=True)
class Measured:
    """What one server did."""

    cpu_us: float
    """CPU of the server per delivery, one message at a time."""
    joined_per_s: float
    joined_cpu_us: float
    spread: Latencies
    """Publish to last subscriber, one message at a time."""


def message(number: int) -> bytes:
    """Return 200 bytes of JSON."""
    text = b'{"type":"bid_placed","price":%d,"leader":"b***7","name":"' % (1_000_000 + number)
    return text + b"x" * (198 - len(text)) + b'"}'


async def measure(home: Path) -> list[Figure]:
    """Run both ways on both servers."""
    runs: dict[str, list[Measured]] = {FLOOR: [], CORE: []}
    for _ in range(REPETITIONS):
        for module, measured in runs.items():
            async with small_server(home, module) as server:
                pin(server.pid, 0)
                pin(0, -1)
                measured.append(await _measure_server(server))
    core, floor = ({f: _median(runs[m], f) for f in ("cpu", "joined", "joined_cpu")} for m in (CORE, FLOOR))
    spread = runs[CORE][-1].spread
    is_floor = "asyncio.Protocol on uvloop, frame built once"
    return [
        Figure(
            benchmark="fan-out",
            what=f"CPU per delivery at {FIXED_RATE * SUBSCRIBERS:,}/s, one message at a time",
            value=core["cpu"],
            unit="µs",
            baseline=floor["cpu"],
            baseline_is=is_floor,
            target=1.1,
            against="ratio",
            notes={"publish to last of 1,000": spread.in_words()},
        ),
        Figure(
            benchmark="fan-out",
            what=f"deliveries per CPU second of the server, {JOINED} joined",
            value=1e6 / core["joined_cpu"],
            unit="deliveries/s",
            baseline=1e6 / floor["joined_cpu"],
            baseline_is=is_floor,
            target=1_000_000,
            better="higher",
            notes={"deliveries/s with this generator": core["joined"], "floor": floor["joined"]},
        ),
        Figure(
            benchmark="fan-out",
            what=f"CPU per delivery, {JOINED} joined",
            value=core["joined_cpu"],
            unit="µs",
            baseline=floor["joined_cpu"],
            baseline_is=is_floor,
            target=1.15,
            against="ratio",
        ),
    ]


def _median(runs: list[Measured], field: str) -> float:
    names = {"cpu": "cpu_us", "joined": "joined_per_s", "joined_cpu": "joined_cpu_us"}
    return float(statistics.median(getattr(run, names[field]) for run in runs))


async def _measure_server(server: SmallServer) -> Measured:
    publisher = await open_socket(server.url)
    subscribers = await open_sockets(server.url, [""] * SUBSCRIBERS, make=Subscriber)
    await gather_some([partial(s.subscribe, CHANNEL) for s in subscribers])
    counter = Counter()
    for subscriber in subscribers:
        assert isinstance(subscriber, Subscriber)
        subscriber.counter = counter
    try:
        await _one_at_a_time(publisher, counter, server.pid, 1.0)  # warm-up
        cpu_us, spread = await _one_at_a_time(publisher, counter, server.pid, SECONDS)
        joined_per_s, joined_cpu_us = await _joined(publisher, counter, server.pid, SECONDS)
    finally:
        for socket in (publisher, *subscribers):
            socket.close()
    return Measured(cpu_us, joined_per_s, joined_cpu_us, spread)


def _publish(publisher: Socket, *items: bytes) -> None:
    body = b'{"channel":"%b","items":[%b]}' % (CHANNEL.encode(), b",".join(items))
    publisher.call("publish", body, _expect_success)


def _expect_success(reply: Reply) -> None:
    if reply.error is not None:
        raise BenchmarkError(f"publish was refused: {reply.error}")


async def _one_at_a_time(
    publisher: Socket, counter: Counter, pid: int, seconds: float
) -> tuple[float, Latencies]:
    """Publish at the fixed rate; return CPU µs per delivery and how long the last subscriber waited."""
    before, cpu_before, started_at = counter.deliveries, cpu_s(pid), time.monotonic()
    sent_at: list[float] = []
    spread = Latencies()

    def note_progress() -> None:
        done, rest = divmod(counter.deliveries - before, SUBSCRIBERS)
        if not rest:
            spread.add(time.monotonic() - sent_at[done - 1])

    counter.on_progress = note_progress
    for number in range(int(FIXED_RATE * seconds)):
        await asyncio.sleep(max(0.0, started_at + number / FIXED_RATE - time.monotonic()))
        # A late server would join two messages into one write, and the figure would flatter it.
        await _await_deliveries(counter, before + number * SUBSCRIBERS)
        sent_at.append(time.monotonic())
        _publish(publisher, message(number))
    await _await_deliveries(counter, before + len(sent_at) * SUBSCRIBERS)
    counter.on_progress = None
    return (cpu_s(pid) - cpu_before) * 1e6 / (counter.deliveries - before), spread


async def _joined(publisher: Socket, counter: Counter, pid: int, seconds: float) -> tuple[float, float]:
    """Publish ten at a time as fast as they are delivered; return deliveries a second and CPU µs per delivery."""
    per_request = JOINED * SUBSCRIBERS
    started_at, cpu_before, before = time.monotonic(), cpu_s(pid), counter.deliveries
    stop_at, sent, frames_before = started_at + seconds, 0, counter.frames
    items = [message(number) for number in range(JOINED)]

    def keep_going() -> None:
        nonlocal sent
        while (
            sent * per_request - (counter.deliveries - before) < WINDOW * per_request
            and time.monotonic() < stop_at
        ):
            sent += 1
            _publish(publisher, *items)

    counter.on_progress = keep_going
    keep_going()
    await asyncio.sleep(seconds)
    await _await_deliveries(counter, before + sent * per_request)
    counter.on_progress = None
    deliveries, elapsed = counter.deliveries - before, time.monotonic() - started_at
    if abs(deliveries / (counter.frames - frames_before) - JOINED) > JOINED * 0.02:
        raise BenchmarkError(
            f"{deliveries / (counter.frames - frames_before):.1f} messages were joined, not {JOINED}"
        )
    return deliveries / elapsed, (cpu_s(pid) - cpu_before) * 1e6 / deliveries


async def _await_deliveries(counter: Counter, wanted: int) -> None:
    await wait_until(lambda: counter.deliveries >= wanted, 10.0, 0.001)
    if counter.deliveries != wanted:
        raise BenchmarkError(f"{counter.deliveries:,} deliveries instead of {wanted:,}")
