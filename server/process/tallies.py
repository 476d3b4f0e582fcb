"""What is counted in plain numbers and written to the metrics at every sample.

A command every 60 µs has no time for locks and shared files: `observe` of a histogram costs 4 µs where processes share
their values, and takes one value at a time. So the durations of commands are counters, one for each bucket, which take
many at once; `with_durations` makes the histogram of them that a scrape shows.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import HistogramMetricFamily, Metric

SECONDS = (0.005, 0.025, 0.1, 0.2, 0.5, 2, 10)
"""Edges of latency histograms; 0.2 s is the promise for a command's 95th percentile."""

DURATIONS = "mnbara_command_duration_seconds"
_BUCKETS, _SUMS = f"{DURATIONS}_counted", f"{DURATIONS}_summed"
_EDGES = (*(str(float(edge)) for edge in SECONDS), "+Inf")
_ABOUT = "From receipt to answer"


class CommandCounters:
    """The counters behind `CommandMetric`, over all routes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register them."""
        self.outcomes = Counter(
            "mnbara_commands_total", "Commands by outcome", ("name", "outcome", "door"), registry=registry
        )
        self.buckets = Counter(_BUCKETS, _ABOUT, ("name", "door", "le"), registry=registry)
        self.sums = Counter(_SUMS, _ABOUT, ("name", "door"), registry=registry)


class CommandMetric:
    """The metrics of one route through one door; `done` costs a third of a microsecond."""

    __slots__ = ("_buckets", "_counters", "_labels", "_outcomes", "_seconds")

    def __init__(self, counters: CommandCounters, name: str, door: str) -> None:
        """Start at nothing, and without a sample: most routes are not called on most doors."""
        self._counters = counters
        self._labels = (name, door)
        self._outcomes: dict[str, int] = {}
        self._buckets = [0] * len(_EDGES)
        self._seconds = 0.0

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
            self._counters.outcomes.labels(name, outcome, door).inc(count)
        for edge, bucket in zip(_EDGES, self._buckets, strict=True):
            if bucket:
                self._counters.buckets.labels(name, door, edge).inc(bucket)
        self._counters.sums.labels(name, door).inc(self._seconds)
        self._outcomes = {}
        self._buckets = [0] * len(_EDGES)
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


def with_durations(families: Iterable[Metric]) -> Iterator[Metric]:
    """Yield the families of a scrape, with one histogram in place of the counters of `CommandCounters`."""
    buckets: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    sums: dict[tuple[str, str], float] = {}
    for family in families:
        if family.name not in {_BUCKETS, _SUMS}:
            yield family
            continue
        for sample in family.samples:
            if not sample.name.endswith("_total"):
                continue
            route = (sample.labels["name"], sample.labels["door"])
            if family.name == _SUMS:
                sums[route] = sample.value
            else:
                buckets[route][sample.labels["le"]] = sample.value
    histogram = HistogramMetricFamily(DURATIONS, _ABOUT, labels=("name", "door"))
    for route, counted in buckets.items():
        below = 0.0
        cumulative = []
        for edge in _EDGES:
            below += counted.get(edge, 0)
            cumulative.append((edge, below))
        histogram.add_metric(route, cumulative, sums.get(route, 0))
    yield histogram
