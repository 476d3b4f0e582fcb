"""The committed events in the order of their commits, as the relay and the followers read them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import groupby, pairwise

from storage.engines.postgres import Connection
from storage.platform.events_postgres import StoredEvent
from storage.platform.sql import load

_sql = load(__file__, "relay.sql")


class CommittedEvent(StoredEvent, frozen=True, gc=False):
    """An event of a transaction that has ended."""

    transaction_id: int


@dataclass(frozen=True, slots=True)
class CommittedBatch:
    """Events of whole transactions in the order of their commits: those of each stream ascend."""

    events: list[CommittedEvent]
    position: int
    """Events of transactions below this one came before."""
    next_position: int
    """Events of transactions below this one are in this batch, or came before."""
    is_last: bool
    """There was nothing more to read."""


async def claim_relay_batch(db: Connection, limit: int) -> CommittedBatch | None:
    """Return what the relay sends next, holding the relay's lock; None while another relay has it.

    Cost: two round trips, more when the batch is full.
    """
    place = await db.fetchrow(_sql.lock_relay)
    if place is None:
        return None
    return await _read_batch(db, place["position"], place["horizon"], limit)


async def read_committed(db: Connection, position: int, limit: int) -> CommittedBatch:
    """Return the committed events from a position on. Cost: two round trips, more when the batch is full."""
    return await _read_batch(db, position, await db.fetchval(_sql.read_horizon), limit)


async def _read_batch(db: Connection, start: int, horizon: int, limit: int) -> CommittedBatch:
    """Read about `limit` events in whole transactions below `horizon`.

    None of those transactions can still commit, so nothing is skipped. A transaction gets its id before it waits for
    the head of a stream, so the last one may continue a stream after a transaction with a higher id: then the batch is
    extended to that one.
    """
    rows = await db.fetch(_sql.read_committed_events, start, horizon, limit)
    events = [CommittedEvent(**row) for row in rows]
    if len(events) < limit:
        return CommittedBatch(_in_commit_order(events), start, horizon, is_last=True)
    cut = events[-1].transaction_id
    if events[0].transaction_id == cut:  # one transaction alone is larger than the limit
        events, cut = [], start
        overtaken: int | None = rows[-1]["transaction_id"]
    else:
        events = [event for event in events if event.transaction_id != cut]
        overtaken = await _find_overtaken(db, events, cut)
    while overtaken is not None:
        more = await db.fetch(_sql.read_committed_events, cut, overtaken + 1, None)
        events += [CommittedEvent(**row) for row in more]
        cut = overtaken + 1
        overtaken = await _find_overtaken(db, events, cut)
    return CommittedBatch(_in_commit_order(events), start, cut, is_last=False)


async def _find_overtaken(db: Connection, events: Iterable[CommittedEvent], cut: int) -> int | None:
    """Return the newest transaction from `cut` on whose events come before some of these, or None."""
    before = [
        (stream, event.number - 1)
        for stream, found in _by_stream(events)
        for previous, event in pairwise([None, *found])
        if event is not None and (previous is None or previous.number != event.number - 1)
    ]
    newest: int | None = await db.fetchval(
        _sql.read_overtaken, [stream for stream, _ in before], [number for _, number in before], cut
    )
    return newest


def _in_commit_order(events: list[CommittedEvent]) -> list[CommittedEvent]:
    """Return the events in the order in which their transactions committed, as far as their streams tell.

    Whoever numbers an event holds the stream's lock until its commit, so no two streams disagree about the order.
    Cost: one pass; transactions are sorted only when a stream is out of order.
    """
    newest: dict[str, int] = {}
    for event in events:
        if event.number < newest.get(event.stream, 0):
            break
        newest[event.stream] = event.number
    else:
        return events
    transactions = {key: list(found) for key, found in groupby(events, key=lambda e: e.transaction_id)}
    before: dict[int, set[int]] = {transaction_id: set() for transaction_id in transactions}
    for _, found in _by_stream(events):
        for first, second in pairwise(found):
            if first.transaction_id != second.transaction_id:
                before[second.transaction_id].add(first.transaction_id)
    order = TopologicalSorter(before).static_order()
    return [event for transaction_id in order for event in transactions[transaction_id]]


def _by_stream(events: Iterable[CommittedEvent]) -> list[tuple[str, Sequence[CommittedEvent]]]:
    """Return the events of each stream, ascending."""
    ordered = sorted(events, key=lambda event: (event.stream, event.number))
    return [(stream, list(found)) for stream, found in groupby(ordered, key=lambda event: event.stream)]


async def read_relay_position(db: Connection) -> int:
    """Return below which transaction everything was sent on."""
    position: int = await db.fetchval(_sql.read_relay_position)
    return position


async def move_relay(db: Connection, next_position: int) -> None:
    """Remember that everything of transactions below `next_position` was sent on."""
    await db.execute(_sql.move_relay, next_position)
