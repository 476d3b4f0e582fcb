"""The bids of auctions and their retractions: append-only, with the secret maxima."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from asyncpg import Record

from storage.engines.postgres import Connection
from storage.sql import load

_sql = load(__file__, "bids.sql")


async def insert_bids(db: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write (auction_id, number, bid_id, bidder_id, amount, price, at_ms) rows. Cost: one round trip if any."""
    if rows:
        await db.execute(_sql.insert_bids, *map(list, zip(*rows, strict=True)))


async def insert_purchase(
    db: Connection, auction_id: UUID, number: int, bid_id: UUID, buyer_id: UUID, price: int, at_ms: int
) -> None:
    """Write the row of a purchase at the buy-now price. Cost: one round trip."""
    await db.execute(_sql.insert_purchase, auction_id, number, bid_id, buyer_id, price, at_ms)


async def list_bids(db: Connection, auction_id: UUID, before: int, limit: int) -> list[Record]:
    """Return up to `limit` bids with number < before, descending, maxima included. Cost: one index range."""
    return await db.fetch(_sql.list_bids, auction_id, before, limit)


async def find_bid(db: Connection, auction_id: UUID, bid_id: UUID) -> Record | None:
    """Return (number, bidder_id) of a bid, or None. Cost: one round trip, reads all bids of the auction."""
    return await db.fetchrow(_sql.find_bid, auction_id, bid_id)


async def read_standing_bids(db: Connection, auction_id: UUID) -> list[Record]:
    """Return (number, bidder_id, amount, at_ms) of bids not retracted, ascending. Cost: all bids of the auction."""
    return await db.fetch(_sql.read_standing_bids, auction_id)


async def insert_retractions(
    db: Connection, auction_id: UUID, bid_numbers: Collection[int], number: int
) -> None:
    """Mark bids as taken back by the event `number`. Cost: one round trip."""
    await db.execute(_sql.insert_retractions, auction_id, sorted(bid_numbers), number)


async def queue_losers(db: Connection, closed: Sequence[tuple[UUID, UUID | None]]) -> None:
    """Queue everybody with a standing bid but the winner, for (auction_id, winner_id) pairs. Cost: one round trip."""
    if closed:
        await db.execute(_sql.queue_losers, *map(list, zip(*closed, strict=True)))


async def take_losers(db: Connection, auction_ids: Sequence[UUID], limit: int) -> list[tuple[UUID, UUID]]:
    """Take up to `limit` (auction_id, bidder_id) off the queue. Cost: one round trip."""
    rows = await db.fetch(_sql.take_losers, list(auction_ids), limit)
    return [(row["auction_id"], row["bidder_id"]) for row in rows]
