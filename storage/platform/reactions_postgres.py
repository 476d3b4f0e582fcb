"""Reactions: rows written with their fact, claimed by queue (a reaction and an aggregate), gone with their effect.

A queue is locked by who runs its rows, and its first row runs first, so the facts of one aggregate are reacted to in
their order. Its row in `reaction_queues` is there as long as it has rows, because nobody deletes it who has not locked
it and then found it empty, and nobody adds to it who does not hold it. All of that needs READ COMMITTED: what is read
after a lock was taken is newer than the lock.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "reactions.sql")

OPENED_BY_WRITER_MS = 20
"""When a queue is looked at again that is empty while a transaction that has not committed adds to it."""


class NewReaction(Struct, frozen=True, gc=False):
    """A fact to react to; its place in the queue is `number`."""

    reaction: str
    aggregate: str
    number: int
    fact: str
    data: str
    at_ms: int


class WaitingReaction(Struct, frozen=True, gc=False):
    """A fact that a claimed queue has at its head."""

    aggregate: str
    number: int
    fact: str
    at_ms: int
    data: str


class Tries(Struct, frozen=True, gc=False):
    """What happened to the first row of a queue until now."""

    attempts: int
    """How often it has failed."""
    mistakes: int
    """How often by a mistake, and not because a machine was away."""
    unreported: int
    """How many workers in a row noted that they run it alone, and were not heard of again."""


class ClaimedQueues(Struct, frozen=True):
    """Queues of one reaction that this transaction holds, and their first rows."""

    reaction: str
    tries: dict[str, Tries]
    """By aggregate."""
    rows: list[WaitingReaction]


async def insert_reactions(db: Connection, rows: Sequence[NewReaction], now_ms: int) -> None:
    """Write reactions in the transaction of their facts. Cost: two round trips, more when a queue is closed meanwhile.

    Locks: the queues, against deletion.
    """
    reactions, aggregates = [row.reaction for row in rows], [row.aggregate for row in rows]
    await db.execute(
        _sql.insert_reactions,
        reactions,
        aggregates,
        [row.number for row in rows],
        [row.fact for row in rows],
        [row.at_ms for row in rows],
        [row.data for row in rows],
        now_ms,
    )
    await _hold_queues(db, reactions, aggregates, now_ms)


async def _hold_queues(
    db: Connection, reactions: Sequence[str], aggregates: Sequence[str], now_ms: int
) -> None:
    wanted = set(zip(reactions, aggregates, strict=True))
    while len(await db.fetch(_sql.hold_queues, [r for r, _ in wanted], [a for _, a in wanted])) < len(wanted):
        await db.execute(_sql.open_queues, reactions, aggregates, now_ms)


async def claim_queues(db: Connection, reaction: str, now_ms: int, limit: int) -> ClaimedQueues:
    """Lock due queues until commit and read `limit` rows from their heads, as many of each.

    Cost: two round trips, one index probe per queue; queues that others hold are skipped.
    """
    return await _read_first(db, reaction, await db.fetch(_sql.claim_queues, reaction, now_ms, limit), limit)


async def lease_queue(db: Connection, reaction: str, now_ms: int) -> str | None:
    """Note durably that a worker is about to run a due queue; return its aggregate. Cost: one round trip, no fsync."""
    aggregate: str | None = await db.fetchval(_sql.lease_queue, reaction, now_ms)
    return aggregate


async def release_queue(db: Connection, reaction: str, aggregate: str) -> None:
    """Take the note of `lease_queue` back. Cost: one round trip."""
    await db.execute(_sql.release_queue, reaction, aggregate)


async def claim_queue(db: Connection, reaction: str, aggregate: str, now_ms: int) -> ClaimedQueues:
    """Lock one due queue until commit and read its first row; nothing when another worker holds it.

    Cost: two round trips.
    """
    return await _read_first(db, reaction, await db.fetch(_sql.claim_queue, reaction, aggregate, now_ms), 1)


async def _read_first(db: Connection, reaction: str, found: Sequence[Any], limit: int) -> ClaimedQueues:
    tries = {aggregate: Tries(*counts) for aggregate, *counts in found}
    if not tries:
        return ClaimedQueues(reaction, {}, [])
    rows = await db.fetch(_sql.read_first, reaction, list(tries), limit // len(tries))
    return ClaimedQueues(reaction, tries, [WaitingReaction(*row) for row in rows])


async def leave_queues(db: Connection, claimed: ClaimedQueues, now_ms: int) -> None:
    """Delete the rows of claimed queues, which have run, and the queues that are empty now.

    Call it last before the commit: it waits for nobody, and who adds to a closed queue waits for the commit. Cost:
    three round trips.
    """
    aggregates = list(claimed.tries)
    await db.execute(
        _sql.delete_done,
        claimed.reaction,
        [row.aggregate for row in claimed.rows],
        [row.number for row in claimed.rows],
    )
    locked = [row["aggregate"] for row in await db.fetch(_sql.lock_empty, claimed.reaction, aggregates)]
    again_ms = now_ms if claimed.rows else now_ms + OPENED_BY_WRITER_MS
    await db.execute(_sql.leave_queues, claimed.reaction, aggregates, locked, again_ms)


async def postpone_reaction(
    db: Connection, reaction: str, row: WaitingReaction, attempts: int, until_ms: int, *, is_mistake: bool
) -> bool:
    """Let the first reaction of a queue wait, if nobody ran or postponed it since. Cost: two round trips."""
    await db.execute(_sql.lock_queue, reaction, row.aggregate)
    known = (reaction, row.aggregate, row.number, attempts, until_ms, int(is_mistake))
    return await db.fetchval(_sql.postpone_reaction, *known) is not None


async def give_up_reaction(
    db: Connection, reaction: str, row: WaitingReaction, attempts: int, error: str, now_ms: int
) -> None:
    """Move a reaction that this transaction has just postponed to the failures. Cost: one round trip."""
    await db.execute(_sql.give_up_reaction, reaction, row.aggregate, row.number, now_ms, attempts, error)


async def next_due(db: Connection, reactions: Sequence[str]) -> dict[str, int]:
    """Return when each of these reactions is due next (ms), without those that have nothing waiting."""
    rows = await db.fetch(_sql.next_due, list(reactions))
    return {row["reaction"]: row["due_at_ms"] for row in rows}


async def count_waiting(db: Connection) -> dict[str, tuple[int, int]]:
    """Return how many wait and since when the oldest (ms), by reaction. Cost: a pass over those that wait."""
    return {name: (count, at_ms) for name, count, at_ms in await db.fetch(_sql.count_waiting)}
