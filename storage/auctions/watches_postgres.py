"""Who watches which auction. Lock order: the rows of watchers, then the count of their auction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from storage.auctions.auctions_postgres import AuctionRow
from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "watches.sql")

Position: TypeAlias = tuple[bool, int, UUID]
"""Where an auction stands in a watch list: whether it is over, its rank among those, its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRow:
    """What a user wants of one auction."""

    watching: bool
    has_bid: bool
    remind_before_s: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedRow(AuctionRow):
    """An auction on a user's watch list."""

    has_bid: bool
    remind_before_s: list[int]
    your_maximum: int | None
    """Of a user who gets some of several units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatcherRow:
    """A watcher of an auction, and how that one stands there."""

    auction_id: UUID
    user_id: UUID
    has_bid: bool
    has_units: bool
    """Gets some of several units."""


async def lock_watches(db: Connection, user_id: UUID) -> None:
    """Let no other transaction change what this user watches until commit. Cost: one round trip."""
    await db.execute(_sql.lock_watches, user_id)


async def count_watches(db: Connection, user_id: UUID) -> int:
    """Return how many auctions a user watches without having bid. Cost: one index range."""
    count: int = await db.fetchval(_sql.count_watches, user_id)
    return count


async def read_watch(db: Connection, auction_id: UUID, user_id: UUID) -> WatchRow | None:
    """Return a user's watch of an auction, or None. Cost: one primary key probe."""
    row = await db.fetchrow(_sql.read_watch, auction_id, user_id)
    return WatchRow(**row) if row else None


async def write_watch(
    db: Connection, auction_id: UUID, user_id: UUID, remind_before_s: Sequence[int], at_ms: int
) -> None:
    """Begin to watch, or change when to be reminded. Cost: one round trip."""
    await db.execute(_sql.write_watch, auction_id, user_id, remind_before_s, at_ms)


async def stop_watch(db: Connection, auction_id: UUID, user_id: UUID, *, has_bid: bool) -> None:
    """Watch no more; of a bidder it is remembered. Cost: one round trip."""
    await db.execute(_sql.stop_bidders_watch if has_bid else _sql.delete_watch, auction_id, user_id)


async def count_watcher(db: Connection, auction_id: UUID, *, came: bool) -> int:
    """Count a watcher who came or went; return how many there are. Cost: one round trip; waits for others who do."""
    count: int = await db.fetchval(_sql.count_one_more if came else _sql.count_one_less, auction_id)
    return count


async def read_watcher_count(db: Connection, auction_id: UUID) -> int:
    """Return how many watch an auction. Cost: one primary key probe."""
    return await db.fetchval(_sql.read_watcher_count, auction_id) or 0


async def delete_oldest_ended_watch(db: Connection, user_id: UUID) -> UUID | None:
    """Forget the watch whose auction has been over longest; None when all are open. Cost: reads the user's watches."""
    gone: UUID | None = await db.fetchval(_sql.delete_oldest_ended_watch, user_id)
    return gone


async def watch_for_bidders(
    db: Connection, pairs: Iterable[tuple[UUID, UUID]], remind_before_s: Sequence[int], at_ms: int
) -> set[tuple[UUID, UUID]]:
    """Have bidders watch by (auction, user); return those for whom it was news. Cost: one round trip, a probe each."""
    auction_ids, user_ids = zip(*sorted(pairs), strict=True)
    rows = await db.fetch(_sql.watch_for_bidders, auction_ids, user_ids, remind_before_s, at_ms)
    return {(row["auction_id"], row["user_id"]) for row in rows}


async def list_watched(
    db: Connection, user_id: UUID, after: Position, limit: int, *, only_open: bool | None, status: str | None
) -> list[WatchedRow]:
    """Return up to `limit` auctions that a user watches, in the order of `Position`; of a status, if one is given.

    Cost: one round trip, reads all watches of the user, a thousand and those by bids.
    """
    rows = await db.fetch(_sql.list_watched, user_id, *after, limit, only_open, status)
    return [WatchedRow(**row) for row in rows]


async def read_notified(db: Connection, auction_ids: Iterable[UUID], kind: str) -> dict[UUID, UUID]:
    """Return the last watcher notified of each auction where that has begun. Cost: one round trip."""
    rows = await db.fetch(_sql.read_notified, list(auction_ids), kind)
    return {row["auction_id"]: row["after_user_id"] for row in rows}


async def read_watchers(
    db: Connection, after: Mapping[UUID, UUID], lead_s: int | None, limit: int
) -> list[WatcherRow]:
    """Return up to `limit` watchers of each auction after a user, in that order.

    Only those to be reminded `lead_s` before the end, or all.
    Cost: one round trip, an index range per auction.
    """
    rows = await db.fetch(_sql.read_watchers, list(after), list(after.values()), lead_s, limit)
    return [WatcherRow(**row) for row in rows]


async def write_notified(db: Connection, notified: Mapping[UUID, UUID], kind: str) -> None:
    """Remember the last user notified, by auction. Cost: one round trip if any."""
    if notified:
        await db.execute(_sql.write_notified, list(notified), list(notified.values()), kind)


async def delete_notified(db: Connection, auction_ids: Sequence[UUID], kind: str) -> None:
    """Forget the last watcher notified: all of them are. Cost: one round trip if any."""
    if auction_ids:
        await db.execute(_sql.delete_notified, auction_ids, kind)


async def delete_old_watches(db: Connection, before_ms: int, limit: int) -> int:
    """Forget watches of auctions that were over before an instant, at most `limit`; return how many.

    Cost: one round trip; looks at all watches begun before the instant.
    """
    return len(await db.fetch(_sql.delete_old_watches, before_ms, limit))
