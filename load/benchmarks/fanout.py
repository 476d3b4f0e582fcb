"""Fan-out of the realtime core: 1,000 subscribers of one channel, 200-byte JSON, against the raw uvloop floor.

Two ways: one message at a time at a fixed 50,000 deliveries a second (CPU per delivery), and ten messages joined in one
tick, as fast as they are taken (deliveries per second). Core, floor and a stock Litestar server take turns on one core,
the generator is on another; the medians of all rounds count.
"""

import asyncio
import statistics
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from picows import WSFrame, WSTransport

from load.benchmarks.machine import exact_cpu_s
from load.benchmarks.nats_fanout import find_nats_server, nats_stage
from load.benchmarks.programs import BenchmarkError, SmallServer
from load.benchmarks.report import Figure
from load.benchmarks.stage import SUBSCRIBERS, Counter, Stage
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
from load.client import OnPublication, Reply, Socket, open_socket, open_sockets
from load.latencies import Latencies
from load.waiting import gather_some, wait_until

NATS = "nats-server"
IS_NATS = "nats-server's own websockets, the same payload"
CHANNEL = "auctions:measured"
FIXED_RATE = 50
"""Messages a second; times the subscribers: deliveries a second."""
JOINED = 10
WINDOW = 1
"""Requests of ten messages under way: two at a time could be joined to twenty, on one side only."""
SECONDS = 1.0
"""Length of one turn of one server, each way."""
ROUNDS = 5
LAUNCHES = 2
"""Processes of one program differ a little by where their memory came to lie."""
PING_BYTES_MAX = 16
"""Frames up to this size are pings: they go the ordinary way."""


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
    """What one server did, round by round."""

    cpu_us: list[float] = field(default_factory=list)
    """CPU of the server per delivery, one message at a time."""
    joined_per_s: list[float] = field(default_factory=list)
    joined_cpu_us: list[float] = field(default_factory=list)
    spread: Latencies = field(default_factory=Latencies)
    """Publish to last subscriber, one message at a time."""


def message(number: int, size: int = 200) -> bytes:
    """Return that many bytes of JSON."""
    text = b'{"type":"bid_placed","price":%d,"leader":"b***7","name":"' % (1_000_000 + number)
    return text + b"x" * (size - 2 - len(text)) + b'"}'


async def measure(home: Path) -> list[Figure]:
    """Run both ways on all servers; nats-server, where it is installed, takes part one message at a time."""
    measured = {module: Measured() for module in (FLOOR, CORE, STOCK, NATS)}
    for _ in range(LAUNCHES):
        async with servers_on_one_core(home, (FLOOR, CORE, STOCK)) as servers, AsyncExitStack() as stack:
            stages: dict[str, Stage] = {module: await fill(server) for module, server in servers.items()}
            foreign: dict[str, Stage] = {}
            if (program := find_nats_server()) is not None:
                foreign[NATS] = await stack.enter_async_context(nats_stage(home, program))
            for stage in (stages | foreign).values():
                await one_at_a_time(stage, 0.5)  # warm-up
            for module, stage in take_turns(stages | foreign, ROUNDS):
                cpu_us, spread = await one_at_a_time(stage, SECONDS)
                measured[module].cpu_us.append(cpu_us)
                measured[module].spread.samples.extend(spread.samples)
            for module, stage in take_turns(stages, ROUNDS):
                joined_per_s, joined_cpu_us = await _joined(stage, SECONDS)
                measured[module].joined_per_s.append(joined_per_s)
                measured[module].joined_cpu_us.append(joined_cpu_us)
            for stage in (stages | foreign).values():
                stage.leave()
    return [
        *_one_at_a_time_figures(measured),
        *_joined_figures(measured[CORE], measured[FLOOR], measured[STOCK]),
    ]


def _one_at_a_time_figures(measured: dict[str, Measured]) -> list[Figure]:
    core, floor = measured[CORE], measured[FLOOR]
    figures = [
        Figure(
            benchmark="fan-out",
            what=f"CPU per delivery at {FIXED_RATE * SUBSCRIBERS:,}/s, one message at a time",
            value=statistics.median(core.cpu_us),
            unit="µs",
            baseline=statistics.median(floor.cpu_us),
            baseline_is=IS_FLOOR,
            target=1.1,
            against="ratio",
            notes={
                "ratio": ratios_in_words(core.cpu_us, floor.cpu_us),
                "publish to last of 1,000": core.spread.in_words(),
                "floor": floor.spread.in_words(),
            },
        )
    ]
    for module, words, target in ((STOCK, "the ordinary way", None), (NATS, "nats-server", 1.0)):
        other = measured[module]
        if not other.cpu_us:
            continue
        figures.append(
            Figure(
                benchmark="fan-out",
                what=f"the same, against {words}",
                value=statistics.median(core.cpu_us),
                unit="µs",
                baseline=statistics.median(other.cpu_us),
                baseline_is=IS_STOCK if module == STOCK else IS_NATS,
                target=target,
                against="ratio",
                notes={
                    "ratio": ratios_in_words(core.cpu_us, other.cpu_us),
                    "publish to last of 1,000, baseline": other.spread.in_words(),
                },
            )
        )
    return figures


def _joined_figures(core: Measured, floor: Measured, stock: Measured) -> list[Figure]:
    def rates(measured: Measured) -> float:
        return 1e6 / statistics.median(measured.joined_cpu_us)

    return [
        Figure(
            benchmark="fan-out",
            what=f"deliveries per CPU second of the server, {JOINED} joined",
            value=rates(core),
            unit="deliveries/s",
            baseline=rates(floor),
            baseline_is=IS_FLOOR,
            target=1_000_000,
            better="higher",
            notes={
                "deliveries/s with this generator": statistics.median(core.joined_per_s),
                "floor": statistics.median(floor.joined_per_s),
                "stock": statistics.median(stock.joined_per_s),
            },
        ),
        Figure(
            benchmark="fan-out",
            what=f"CPU per delivery, {JOINED} joined",
            value=statistics.median(core.joined_cpu_us),
            unit="µs",
            baseline=statistics.median(floor.joined_cpu_us),
            baseline_is=IS_FLOOR,
            target=1.15,
            against="ratio",
            notes={"ratio": ratios_in_words(core.joined_cpu_us, floor.joined_cpu_us)},
        ),
        Figure(
            benchmark="fan-out",
            what="the same, against the ordinary way, joined by hand",
            value=statistics.median(core.joined_cpu_us),
            unit="µs",
            baseline=statistics.median(stock.joined_cpu_us),
            baseline_is=IS_STOCK,
            notes={"ratio": ratios_in_words(core.joined_cpu_us, stock.joined_cpu_us)},
        ),
    ]


@dataclass(frozen=True, slots=True)
class CoreStage(Stage):
    """A server that speaks our protocol."""

    publisher: Socket


async def fill(server: SmallServer) -> CoreStage:
    """Open the publisher and everybody's subscription."""
    publisher = await open_socket(server.url)
    subscribers = await open_sockets(server.url, [""] * SUBSCRIBERS, make=Subscriber)
    await gather_some([partial(s.subscribe, CHANNEL) for s in subscribers])
    counter = Counter()
    for subscriber in subscribers:
        assert isinstance(subscriber, Subscriber)
        subscriber.counter = counter
    sockets = (publisher, *subscribers)
    return CoreStage(server.pid, partial(_publish, publisher), counter, sockets, publisher)


def _publish(publisher: Socket, *items: bytes) -> None:
    body = b'{"channel":"%b","items":[%b]}' % (CHANNEL.encode(), b",".join(items))
    publisher.call("publish", body, _expect_success)


def _expect_success(reply: Reply) -> None:
    if reply.error is not None:
        raise BenchmarkError(f"publish was refused: {reply.error}")


async def one_at_a_time(stage: Stage, seconds: float) -> tuple[float, Latencies]:
    """Publish at the fixed rate; return CPU µs per delivery and how long the last subscriber waited."""
    counter = stage.counter
    before, cpu_before, started_at = counter.deliveries, exact_cpu_s(stage.pid), time.monotonic()
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
        stage.publish(message(number))
    await _await_deliveries(counter, before + len(sent_at) * SUBSCRIBERS)
    counter.on_progress = None
    return (exact_cpu_s(stage.pid) - cpu_before) * 1e6 / (counter.deliveries - before), spread


async def _joined(stage: Stage, seconds: float) -> tuple[float, float]:
    """Publish ten at a time as fast as they are delivered; return deliveries a second and CPU µs per delivery."""
    counter, per_request = stage.counter, JOINED * SUBSCRIBERS
    started_at, cpu_before, before = time.monotonic(), exact_cpu_s(stage.pid), counter.deliveries
    stop_at, sent, frames_before = started_at + seconds, 0, counter.frames
    items = [message(number) for number in range(JOINED)]

    def keep_going() -> None:
        nonlocal sent
        while (
            sent * per_request - (counter.deliveries - before) < WINDOW * per_request
            and time.monotonic() < stop_at
        ):
            sent += 1
            stage.publish(*items)

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
    return deliveries / elapsed, (exact_cpu_s(stage.pid) - cpu_before) * 1e6 / deliveries


async def flood(stage: Stage) -> None:
    """Publish ten large messages and wait until everybody who reads has them."""
    wanted = stage.counter.deliveries + JOINED * SUBSCRIBERS
    stage.publish(*(message(number, 2_000) for number in range(JOINED)))
    await _await_deliveries(stage.counter, wanted)


async def _await_deliveries(counter: Counter, wanted: int) -> None:
    await wait_until(lambda: counter.deliveries >= wanted, 10.0, 0.001)
    if counter.deliveries != wanted:
        raise BenchmarkError(f"{counter.deliveries:,} deliveries instead of {wanted:,}")
