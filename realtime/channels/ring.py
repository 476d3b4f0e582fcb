"""The newest publications of one replayed channel, contiguous, bounded in number and bytes."""

from collections.abc import Sequence

from realtime.channels.publication import Publication


class Ring:
    """Publications `first` … `first + len - 1`; a list, because recovery slices in the middle."""

    __slots__ = ("bytes", "entries_max", "bytes_max", "items")  # noqa: RUF023 - bounds together

    def __init__(self, entries_max: int, bytes_max: int) -> None:
        """Start empty; bytes are those of the JSON form, as a recovery counts them."""
        self.items: list[Publication] = []
        self.bytes = 0
        self.entries_max, self.bytes_max = entries_max, bytes_max

    @property
    def first(self) -> int:
        """The oldest kept number; the ring must not be empty."""
        return self.items[0].number

    def full(self) -> bool:
        """Whether older publications would not fit any more."""
        return len(self.items) >= self.entries_max or self.bytes >= self.bytes_max

    def append(self, publication: Publication) -> None:
        """Keep the next publication; when a bound is exceeded by an eighth, drop the oldest."""
        assert not self.items or publication.number == self.items[-1].number + 1
        self.items.append(publication)
        self.bytes += len(publication.json)
        spare = self.entries_max // 8
        if len(self.items) > self.entries_max + spare or self.bytes > self.bytes_max + self.bytes_max // 8:
            self.trim(self.entries_max, self.bytes_max)

    def prepend(self, older: Sequence[Publication]) -> None:
        """Keep older publications, ascending, that end right before `first`."""
        if older and self.items:
            assert older[-1].number == self.items[0].number - 1
        self.items[0:0] = older
        self.bytes += sum(len(publication.json) for publication in older)

    def trim(self, entries_max: int, bytes_max: int) -> None:
        """Drop the oldest until the bounds hold."""
        drop = max(0, len(self.items) - entries_max)
        self.bytes -= sum(len(p.json) for p in self.items[:drop])
        while self.bytes > bytes_max and drop < len(self.items):
            self.bytes -= len(self.items[drop].json)
            drop += 1
        del self.items[:drop]

    def after(self, offset: int) -> list[Publication]:
        """Return every kept publication with number > offset; the caller knows that `first` <= offset + 1."""
        if not self.items:
            return []
        return self.items[max(0, offset + 1 - self.first) :]
