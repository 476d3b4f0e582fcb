"""The events table: append in the transaction of the change, read back as channel history."""

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "events.sql")

FACTS = "facts:"
"""What the streams of facts begin with: `facts:<aggregate>`. No channel shows them."""

_COLUMNS = ("stream", "number", "at_ms", "type", "data")


class NewEvent(Struct, frozen=True, gc=False):
    """An event to append: `data` is the JSON text that subscribers will see, byte for byte."""

    stream: str
    type: str
    data: str
    number: int | None = None


class StoredEvent(Struct, frozen=True, gc=False):
    """An event as the table keeps it."""

    stream: str
    number: int
    type: str
    data: str
    at_ms: int


async def append_events(db: Connection, events: Sequence[NewEvent], at_ms: int) -> list[StoredEvent]:
    """Write events and return them with their numbers, in the order given.

    Events without a number are numbered after their stream's head, whose row stays locked until commit.
    Cost: one round trip, two when a stream has to be advanced.
    """
    numbers = await _take_numbers(db, events)
    stored = [
        StoredEvent(e.stream, numbers.pop(e.stream) if e.number is None else e.number, e.type, e.data, at_ms)
        for e in events
    ]
    # COPY: a third less work on both sides than an INSERT of arrays (measured on batches of 200)
    rows = [(e.stream, e.number, at_ms, e.type, e.data) for e in stored]
    await db.copy_records_to_table("events", records=rows, columns=_COLUMNS)
    return stored


class _Numbers(dict[str, int]):
    """The next number of each advanced stream; `pop` hands them out ascending."""

    def pop(self, stream: str) -> int:  # type: ignore[override]
        number = self[stream]
        self[stream] = number + 1
        return number


async def _take_numbers(db: Connection, events: Sequence[NewEvent]) -> _Numbers:
    counts = Counter(e.stream for e in events if e.number is None)
    if not counts:
        return _Numbers()
    streams = sorted(counts)
    rows = await db.fetch(_sql.advance_streams, streams, [counts[s] for s in streams])
    return _Numbers({row["stream"]: row["head"] - counts[row["stream"]] + 1 for row in rows})


async def read_heads(db: Connection, streams: Sequence[str]) -> dict[str, int]:
    """Return the newest number of each stream that has one. Cost: one round trip, one index probe per stream."""
    return {row["stream"]: row["number"] for row in await db.fetch(_sql.read_heads, list(streams))}


async def read_events(db: Connection, stream: str, after: int, limit: int) -> list[tuple[int, str, int]]:
    """Return up to `limit` (number, data, at_ms) with number > after, ascending. Cost: one index range."""
    return [tuple(row) for row in await db.fetch(_sql.read_events, stream, after, limit)]


async def read_events_backward(
    db: Connection, stream: str, before: int, limit: int
) -> list[tuple[int, str, int]]:
    """Return up to `limit` (number, data, at_ms) with number < before, descending. Cost: one index range."""
    return [tuple(row) for row in await db.fetch(_sql.read_events_backward, stream, before, limit)]


async def read_event_times(db: Connection, stream: str, numbers: Sequence[int]) -> dict[int, int]:
    """Return when each of these events of a stream happened (ms), by number. Cost: one index probe per number."""
    rows = await db.fetch(_sql.read_event_times, stream, list(numbers))
    return {row["number"]: row["at_ms"] for row in rows}


async def read_epoch(db: Connection) -> str:
    """Return the epoch shared by every stream of this database."""
    return str(await db.fetchval(_sql.read_epoch))
