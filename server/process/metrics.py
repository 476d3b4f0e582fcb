"""Metrics: what is counted, under which names and labels, in one process or merged over all of them.

Every name begins with `mnbara_`; every label has a bounded set of values (route names, code words, doors), and samples
with labels are there once they were counted. Durations are by route only for commands: what else has a duration is one
histogram for all. With a folder the values live in files there, one set per process, and a scrape of any process merges
them all.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from realtime.hooks import Cause, Disconnected, Hooks
from realtime.transport.admission import REASONS
from server.process.sharing import SHARED_VARIABLE, is_alive
from server.process.tallies import SECONDS, CommandCounters, CommandMetric, Tally, with_durations

SIZES = (1, 5, 20, 100, 500)
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


disable_created_metrics()  # type: ignore[no-untyped-call]  # a line more for each sample, and nobody reads them


def _forget_the_dead(folder: Path) -> None:
    """Take gauges of processes that ended, however they ended, out of the sums; their counters stay."""
    for file in folder.glob("gauge_live*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not is_alive(pid):
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


class _Shown(Collector):
    """What a scrape shows of the metrics that something collects."""

    def __init__(self, source: Collector) -> None:
        self._source = source

    def collect(self) -> Iterator[Metric]:
        return with_durations(self._source.collect())


class Metrics:
    """Every metric of one process."""

    def __init__(self, folder: Path | None = None, process: str = "server") -> None:
        """Register them; with a folder, which SHARED_VARIABLE must have named, scrapes show all who share it.

        `process` names this one among them.
        """
        self._folder = folder
        self._process = process
        self._cpu_s = 0.0
        if folder is not None:
            assert os.environ.get(SHARED_VARIABLE) == str(folder)
            folder.mkdir(parents=True, exist_ok=True)
        self.registry = CollectorRegistry()
        self._register_doors()
        self._register_machinery()
        self._sockets: Callable[[], Mapping[str, float]] | None = None
        self._seen: dict[str, float] = {}
        self._counted: list[CommandMetric | Tally] = []

    def _register_doors(self) -> None:
        self._commands = CommandCounters(self.registry)
        self.http_requests = self._counter("http_requests_total", "HTTP answers", "route", "method", "status")
        self.http_durations = self._histogram(
            "http_request_duration_seconds", "From request to answer, by method", SECONDS, "method"
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
        self.stream_bytes = self._gauge(
            "relay_stream_bytes_max", "Disk that the JetStream stream of events may take; 0: not known"
        )
        self.timer_lateness = self._histogram(
            "timer_lateness_seconds", "How long after its due time a timer ran", SECONDS
        )
        self._register_process()
        self.reconciliation_differences = self._gauge(
            "reconciliation_differences", "Differences in the newest report", mode="livemostrecent"
        )
        self.payments_for_review = self._gauge(
            "payments_for_review",
            "Payments that the provider says nothing of any more",
            mode="livemostrecent",
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
            "1 while the engine answers the process that was asked last, 0 while it does not",
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

    def _register_process(self) -> None:
        """What each process uses: gauges have its id, too, where processes share a folder."""
        self.loop_lag = self._gauge(
            "loop_lag_seconds",
            "Largest lateness of the event loop in the last 15 s",
            "process",
            mode="liveall",
        ).labels(self._process)
        self._resident = self._gauge(
            "process_resident_bytes", "Memory that the process has in use", "process", mode="liveall"
        ).labels(self._process)
        self._descriptors = self._gauge(
            "process_open_descriptors", "Open files and sockets", "process", mode="liveall"
        ).labels(self._process)
        self._cpu = self._counter(
            "process_cpu_seconds_total", "Processor time, user and system", "process"
        ).labels(self._process)

    def set_process(self, resident: int, descriptors: int, cpu_s: float) -> None:
        """Show what this process uses; `cpu_s` since its start."""
        self._resident.set(resident)
        self._descriptors.set(descriptors)
        self._cpu.inc(max(0.0, cpu_s - self._cpu_s))
        self._cpu_s = cpu_s

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
        metric = CommandMetric(self._commands, name, door)
        self._counted.append(metric)
        return metric

    def commit_observer(self, name: str) -> Callable[[int, float], None]:
        """Return what a group commit calls after each commit with its size and seconds."""

        def observe(requests: int, seconds: float) -> None:
            self.commit_sizes.labels(name).observe(requests)
            self.commit_durations.labels(name).observe(seconds)

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
        source: Collector = self.registry
        if self._folder is not None:
            _forget_the_dead(self._folder)
            source = MultiProcessCollector(None, str(self._folder))  # type: ignore[no-untyped-call]
        shown = CollectorRegistry()
        shown.register(_Shown(source))
        return generate_latest(shown)
