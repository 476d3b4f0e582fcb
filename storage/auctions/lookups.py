"""What other domains and the channel log may read of auctions. Read-only."""

from dataclasses import dataclass
from uuid import UUID

from protocols.auctions.events import Ticker
from protocols.values import now_instant, to_timestamp
from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "lookups.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuctionFacts:
    """An auction as other domains see it."""

    auction_id: UUID
    listing_id: UUID
    seller_id: UUID
    """Who opened it; in a reverse auction the one who pays."""
    status: str
    currency: str
    price: int
    winner_id: UUID | None
    """Unmasked; None unless one unit was sold: several have their winners in `auction_places`."""
    ends_at_ms: int
    format: str
    quantity: int
    """Units; the price is for each."""


async def read_ticker(db: Connection, auction_id: UUID) -> tuple[int, Ticker] | None:
    """Return the newest value of an auction's ticker with its number, or None. Cost: one primary key probe."""
    row = await db.fetchrow(_sql.read_ticker, auction_id, now_instant())
    if row is None:
        return None
    number, price, minimum_bid, leader, bid_count, reserve_met, ends_at_ms = row
    return number, Ticker(
        price=price,
        minimum_bid=minimum_bid,
        leader=leader,
        bid_count=bid_count,
        reserve_met=reserve_met,
        ends_at=to_timestamp(ends_at_ms),
    )


async def read_auction_facts(db: Connection, auction_id: UUID) -> AuctionFacts | None:
    """Return the facts of one auction as of now, or None. Cost: one primary key probe, no lock."""
    row = await db.fetchrow(_sql.read_auction_facts, auction_id)
    return AuctionFacts(**row) if row else None


async def read_open_auction(db: Connection, listing_id: UUID) -> tuple[UUID, str] | None:
    """Return id and status of an auction that a listing is in, a live one if it is in one; or None.

    Cost: one index range, no lock.

    While the listing's row is locked no other auction can be opened on it.
    """
    row = await db.fetchrow(_sql.read_open_auction, listing_id)
    return (row["auction_id"], row["status"]) if row else None
