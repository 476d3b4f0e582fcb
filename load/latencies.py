"""How long things took: a list of samples and its percentiles."""

from collections.abc import Iterable


class Latencies:
    """Samples in seconds; `add` is a list append, sorting waits until somebody asks."""

    __slots__ = ("_sorted", "add", "samples")

    def __init__(self, samples: Iterable[float] = ()) -> None:
        """Start with the samples given."""
        self.samples: list[float] = list(samples)
        self.add = self.samples.append
        self._sorted: list[float] = []

    def __len__(self) -> int:
        """How many samples there are."""
        return len(self.samples)

    def quantile(self, share: float) -> float:
        """Return the smallest sample that at least this share of all samples do not exceed; 0 without samples."""
        if len(self._sorted) != len(self.samples):
            self._sorted = sorted(self.samples)
        if not self._sorted:
            return 0.0
        rank = -int(-share * len(self._sorted) // 1)  # rounded up
        return self._sorted[min(max(rank, 1), len(self._sorted)) - 1]

    def ms(self, share: float) -> float:
        """Return the quantile in milliseconds."""
        return self.quantile(share) * 1000

    def in_words(self) -> str:
        """Return `p50 1.2  p95 3.4  p99 5.6 ms`."""
        return f"p50 {self.ms(0.5):.1f}  p95 {self.ms(0.95):.1f}  p99 {self.ms(0.99):.1f} ms"
