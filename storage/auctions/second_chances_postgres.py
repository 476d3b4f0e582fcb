"""Second-chance offers. Lock order: their auctions by id, then listings, then offers by id."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args
from uuid import UUID

from protocols.auctions.second_chances import OfferStatus
from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "second_chances.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedRow:
    """A bidder's standing bid that counts."""

    bidder_id: UUID
    amount: int
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRow:
    """A second-chance offer."""

    offer_id: UUID
    auction_id: UUID
    bidder_id: UUID
    seller_id: UUID
    piece: str
    """`auctioned`: what the auction sold, or should have; `another`: something beside it."""
    price: int
    quantity: int
    status: OfferStatus
    offered_at_ms: int
    expires_at_ms: int
    decided_at_ms: int | None


async def rank_bidders(
    db: Connection, auction_id: UUID, *, descending: bool, several: bool
) -> list[RankedRow]:
    """Return everybody's standing bid that counts, best first. Cost: reads all bids.

    The best bid counts, of several units the last; the lowest is the best in a descending auction.
    """
    rows = await db.fetch(_sql.rank_bidders, auction_id, -1 if descending else 1, several)
    return [RankedRow(**row) for row in rows]


async def find_bidder_of(db: Connection, auction_id: UUID, bid_id: UUID) -> UUID | None:
    """Return who placed a bid, or None. Cost: reads all bids of the auction."""
    bidder_id: UUID | None = await db.fetchval(_sql.find_bidder_of, auction_id, bid_id)
    return bidder_id


async def insert_offer(db: Connection, columns: Sequence[Any]) -> None:
    """Write a new offer (columns as in `insert_offer`). Cost: one round trip."""
    await db.execute(_sql.insert_offer, *columns)


async def lock_offers(db: Connection, auction_ids: Iterable[UUID]) -> list[OfferRow]:
    """Return all offers of locked auctions, by id, locked until commit. Cost: one round trip."""
    return [OfferRow(**row) for row in await db.fetch(_sql.lock_offers, list(auction_ids))]


async def find_auctions_of(db: Connection, offer_ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Return the auction of each offer that exists. Cost: one round trip, no lock."""
    return {row[0]: row[1] for row in await db.fetch(_sql.find_auctions_of, list(offer_ids))}


async def decide_offers(db: Connection, offer_ids: Sequence[UUID], status: str, now_ms: int) -> None:
    """Give locked offers another status. Cost: one round trip if any."""
    if offer_ids:
        await db.execute(_sql.decide_offers, list(offer_ids), status, now_ms)


async def list_made(
    db: Connection, seller_id: UUID, before: UUID, status: str | None, limit: int
) -> list[OfferRow]:
    """Return up to `limit` offers a seller made with smaller ids, descending. Cost: one index range per status."""
    rows = await db.fetch(_sql.list_made, seller_id, before, _statuses(status), limit)
    return [OfferRow(**row) for row in rows]


async def list_received(
    db: Connection, bidder_id: UUID, before: UUID, status: str | None, limit: int
) -> list[OfferRow]:
    """Return up to `limit` offers a bidder got with smaller ids, descending. Cost: one index range per status."""
    rows = await db.fetch(_sql.list_received, bidder_id, before, _statuses(status), limit)
    return [OfferRow(**row) for row in rows]


def _statuses(status: str | None) -> Sequence[str]:
    return [status] if status else get_args(OfferStatus)
