"""Metrics: what is counted, under which names and labels, in one process or merged over all of them.

Every name begins with `mnbara_`; every label has a bounded set of values (route names, code words, doors). With a
folder the values live in files there, one set per process, and a scrape of any process merges them all.
"""

import asyncio
import os
from bisect import bisect_left
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from realtime.hooks import Cause, Disconnected, Hooks
from realtime.transport.admission import REASONS

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.25, 0.5, 0.75, 1, 2.5, 5, 10)
"""Edges of latency histograms; 0.2 s is the promise for a command's 95th percentile."""

SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""Edges of commit batch sizes; 500 is the largest batch."""

SAMPLE_EVERY_S = 1.0
"""How often the realtime core's counters are copied into metrics."""

SOCKET_GAUGES = {
    "connections": "Open realtime connections",
    "subscriptions": "Channel subscriptions of open connections",
    "connections_websocket": "Open websockets",
    "connections_http_stream": "Open HTTP streams",
    "connections_sse": "Open streams of server-sent events",
    "queue_bytes": "Bytes waiting in the outgoing buffers of connections",
}
SOCKET_COUNTERS = {
    "deliveries": "Publications handed to connections",
    "slow_cuts": "Connections cut because they read too slowly",
    "flood_cuts": "Connections cut because they sent too many commands or frames",
}
"""Keys of the dict that the realtime core's reader returns; other keys are not shown."""

REFUSALS = {f"refused_{reason}": reason for reason in REASONS}
"""Likewise, of one counter with a label."""


def _share_through(folder: Path) -> None:
    """Make values of metrics created from here on live in files of that folder."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    if not values.ValueClass._multiprocess:  # noqa: SLF001 - the library decides at import; we decide by setting
        values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]


def _forget_the_dead(folder: Path) -> None:
    """Take gauges of processes that ended, however they ended, out of the sums; their counters stay."""
    for file in folder.glob("gauge_live*.db"):
        pid = int(file.stem.rpartition("_")[2])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
        except PermissionError:
            continue  # it lives, as another user


class CommandMetric:
    """The metrics of one route through one door: counted in plain numbers, written at every sample.

    A command every 60 µs has no time for locks and shared files: `done` costs a third of a microsecond.
    """

    __slots__ = ("_buckets", "_counter", "_histogram", "_labels", "_outcomes", "_seconds")

    def __init__(self, counter: Counter, histogram: Histogram, name: str, door: str) -> None:
        """Start at nothing."""
        self._counter = counter
        self._histogram = histogram.labels(name, door)
        self._labels = (name, door)
        self._outcomes: dict[str, int] = {}
        self._buckets = [0] * (len(SECONDS) + 1)
        self._seconds = 0.0
        self._counter.labels(name, "ok", door)

    def done(self, outcome: str, seconds: float) -> None:
        """Count one command: `outcome` is `ok` or a code word of the catalogue."""
        self._outcomes[outcome] = self._outcomes.get(outcome, 0) + 1
        self._buckets[bisect_left(SECONDS, seconds)] += 1
        self._seconds += seconds

    def write(self) -> None:
        """Add what was counted since the last time to the metrics."""
        if not self._outcomes:
            return
        name, door = self._labels
        for outcome, count in self._outcomes.items():
            self._counter.labels(name, outcome, door).inc(count)
        for bucket, count in zip(self._histogram._buckets, self._buckets, strict=True):  # noqa: SLF001 - no bulk API
            if count:
                bucket.inc(count)
        self._histogram._sum.inc(self._seconds)  # noqa: SLF001 - no bulk API
        self._outcomes = {}
        self._buckets = [0] * len(self._buckets)
        self._seconds = 0.0


class Tally:
    """A counter with labels that is counted in plain numbers and written at every sample: `add` takes no lock."""

    __slots__ = ("_counted", "_counter")

    def __init__(self, counter: Counter) -> None:
        """Start at nothing."""
        self._counter = counter
        self._counted: dict[tuple[str, ...], int] = {}

    def add(self, *labels: str) -> None:
        """Count one."""
        self._counted[labels] = self._counted.get(labels, 0) + 1

    def write(self) -> None:
        """Add what was counted since the last time to the metric."""
        counted, self._counted = self._counted, {}
        for labels, count in counted.items():
            self._counter.labels(*labels).inc(count)


class Metrics:
    """Every metric of one process."""

    def __init__(self, folder: Path | None = None) -> None:
        """Register them; with a folder, scrapes show all processes that share it."""
        self._folder = folder
        if folder is not None:
            _share_through(folder)
        self.registry = CollectorRegistry()
        self._register_doors()
        self._register_machinery()
        self._sockets: Callable[[], Mapping[str, float]] | None = None
        self._seen: dict[str, float] = {}
        self._counted: list[CommandMetric | Tally] = []

    def _register_doors(self) -> None:
        self._commands = self._counter("commands_total", "Commands by outcome", "name", "outcome", "door")
        self._durations = self._histogram(
            "command_duration_seconds", "From receipt to answer", SECONDS, "name", "door"
        )
        self.http_requests = self._counter("http_requests_total", "HTTP answers", "route", "method", "status")
        self.http_durations = self._histogram(
            "http_request_duration_seconds", "From request to answer", SECONDS, "route", "method"
        )
        self.deprecated_calls = self._counter(
            "deprecated_calls_total", "Calls of routes that will go", "name", "door"
        )
        self.waiting_polls = self._gauge("waiting_polls", "Long polls that wait for an event")
        self.limits_without_store = self._counter(
            "rate_limits_without_store_total", "Calls judged by this process alone while Redis was away"
        )

    def _register_machinery(self) -> None:
        self.commit_sizes = self._histogram("commit_batch_size", "Commands per group commit", SIZES, "name")
        self.commit_durations = self._histogram("commit_duration_seconds", "Group commits", SECONDS, "name")
        self.relay_lag = self._gauge("relay_lag_seconds", "Age of the oldest event not yet relayed")
        self.timer_lateness = self._histogram(
            "timer_lateness_seconds", "How long after its due time a timer ran", SECONDS
        )
        self.loop_lag = self._gauge(
            "loop_lag_seconds",
            "Largest lateness of the event loop in the last 15 s, by process",
            mode="liveall",
        )
        self._work_waiting = self._gauge(
            "work_waiting", "Reactions and jobs that wait", "name", mode="livemostrecent"
        )
        self._work_oldest = self._gauge(
            "work_oldest_seconds", "Age of the oldest that waits", "name", mode="livemostrecent"
        )
        self._work_given_up = self._gauge(
            "work_given_up", "Reactions and jobs to be replayed", "name", mode="livemostrecent"
        )
        self._work_failures = self._counter(
            "work_failures_total", "Attempts of reactions and jobs that failed", "name"
        )
        self.up = self._gauge(
            "up",
            "1 while the engine answers the process that was asked last",
            "engine",
            mode="livemostrecent",
        )
        self._socket_gauges = {name: self._gauge(name, text) for name, text in SOCKET_GAUGES.items()}
        self._socket_counters = {
            name: self._counter(f"{name}_total", text) for name, text in SOCKET_COUNTERS.items()
        }
        self._refusals = self._counter(
            "connections_refused_total", "New realtime connections told to come again", "reason"
        )

    def set_work(self, name: str, waiting: int, oldest_s: float, given_up: int) -> None:
        """Show how much of a reaction or job waits, since when, and how much was given up."""
        self._work_waiting.labels(name).set(waiting)
        self._work_oldest.labels(name).set(oldest_s)
        self._work_given_up.labels(name).set(given_up)

    def count_work_failure(self, name: str) -> None:
        """Count an attempt of a reaction or job that failed."""
        self._work_failures.labels(name).inc()

    def follow_hooks(self, hooks: Hooks) -> None:
        """Count who connects and subscribes, and why that ends; codes that clients choose are no labels."""
        connects = self._tally("connects_total", "Connects answered", "transport")
        ends = self._tally("disconnects_total", "Connections ended", "cause", "code")
        subscribes = self._tally("subscribes_total", "Subscriptions begun", "kind")
        unsubscribes = self._tally("unsubscribes_total", "Subscriptions ended", "kind", "cause")

        def disconnected(fact: Disconnected) -> None:
            ends.add(fact.cause, "" if fact.cause is Cause.CLIENT else str(fact.code))

        hooks.connected.append(lambda fact: connects.add(fact.context.transport))
        hooks.subscribed.append(lambda fact: subscribes.add(fact.channel.partition(":")[0]))
        hooks.unsubscribed.append(lambda fact: unsubscribes.add(fact.channel.partition(":")[0], fact.cause))
        hooks.disconnected.append(disconnected)

    def _tally(self, name: str, text: str, *labels: str) -> Tally:
        tally = Tally(self._counter(name, text, *labels))
        self._counted.append(tally)
        return tally

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"mnbara_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str, mode: Any = "livesum") -> Gauge:  # noqa: ANN401 - a Literal
        return Gauge(f"mnbara_{name}", text, labels, registry=self.registry, multiprocess_mode=mode)

    def _histogram(self, name: str, text: str, edges: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"mnbara_{name}", text, labels, buckets=edges, registry=self.registry)

    def command(self, name: str, door: str) -> CommandMetric:
        """Return the metrics of one route through one door; ask once, keep it."""
        metric = CommandMetric(self._commands, self._durations, name, door)
        self._counted.append(metric)
        return metric

    def commit_observer(self, name: str) -> Callable[[int, float], None]:
        """Return what a group commit calls after each commit with its size and seconds."""
        size, duration = self.commit_sizes.labels(name).observe, self.commit_durations.labels(name).observe

        def observe(requests: int, seconds: float) -> None:
            size(requests)
            duration(seconds)

        return observe

    def follow_sockets(self, read: Callable[[], Mapping[str, float]]) -> None:
        """Copy the realtime core's counters from `read` at every sample."""
        self._sockets = read

    def sample(self) -> None:
        """Copy what is read rather than reported; counters grow by what came since the last sample."""
        for metric in self._counted:
            metric.write()
        if self._sockets is None:
            return
        now = self._sockets()
        for name, gauge in self._socket_gauges.items():
            gauge.set(now.get(name, 0))
        for name, counter in self._socket_counters.items():
            self._grow(counter, name, now)
        for name, reason in REFUSALS.items():
            self._grow(self._refusals.labels(reason), name, now)

    def _grow(self, counter: Counter, name: str, now: Mapping[str, float]) -> None:
        value = now.get(name, 0)
        counter.inc(max(0.0, value - self._seen.get(name, 0)))
        self._seen[name] = value

    async def run(self) -> None:
        """Sample until cancelled, so that a scrape of another process sees this one."""
        while True:
            self.sample()
            await asyncio.sleep(SAMPLE_EVERY_S)

    def render(self) -> bytes:
        """Return the text of a scrape, over all processes when they share a folder. May run in a thread."""
        if self._folder is None:
            return generate_latest(self.registry)
        _forget_the_dead(self._folder)
        merged = CollectorRegistry()
        MultiProcessCollector(merged, str(self._folder))  # type: ignore[no-untyped-call]
        return generate_latest(merged)
