"""Whom sellers let bid: approvals per auction, blocks per seller, and the standing bids that a decision takes away."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args
from uuid import UUID

from protocols.auctions.guards import ApprovalStatus
from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "guards.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingRow:
    """How a bidder stands in an auction: what the seller decided there, and whether the seller blocks the bidder."""

    auction_id: UUID
    bidder_id: UUID
    status: ApprovalStatus | None
    blocked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRow:
    """A request to bid and what the seller decided."""

    bidder_id: UUID
    status: ApprovalStatus
    message: str
    reason: str
    requested_at_ms: int
    decided_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRow:
    """A bidder whom a seller blocks: by id, or by the mask in one auction."""

    block_id: UUID
    bidder_id: UUID
    auction_id: UUID | None
    bidder_mask: str | None
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BidderBidRow:
    """A standing bid of one bidder."""

    number: int
    bid_id: UUID
    amount: int
    quantity: int


async def set_guards(
    db: Connection,
    auction_id: UUID,
    *,
    exposure_guard: bool,
    wallet_guard: bool,
    bidders: str,
    has_blocks: bool,
    deposit_minor: int | None,
) -> None:
    """Write the guards of an auction that this transaction has inserted. Cost: one round trip."""
    await db.execute(
        _sql.set_guards, auction_id, exposure_guard, bidders, has_blocks, deposit_minor, wallet_guard
    )


async def lock_seller(db: Connection, seller_id: UUID) -> None:
    """Wait until nobody else opens auctions or blocks bidders for this seller. Taken before any row's lock."""
    await db.execute(_sql.lock_seller, seller_id)


async def has_blocks(db: Connection, seller_id: UUID) -> bool:
    """Return whether a seller keeps anybody out. Cost: one index probe."""
    return bool(await db.fetchval(_sql.has_blocks, seller_id))


async def find_open_unmarked(db: Connection, seller_id: UUID) -> list[UUID]:
    """Return a seller's open auctions that do not look at blocks yet. Cost: reads the seller's auctions."""
    return [row["auction_id"] for row in await db.fetch(_sql.find_open_unmarked, seller_id)]


async def mark_blocks(db: Connection, auction_ids: Sequence[UUID]) -> None:
    """Have locked auctions look at blocks from now on. Cost: one round trip."""
    await db.execute(_sql.mark_blocks, list(auction_ids))


async def find_standings(db: Connection, rows: Iterable[tuple[UUID, UUID, UUID]]) -> list[StandingRow]:
    """Return how the bidder stands for each (auction_id, seller_id, bidder_id) given.

    Cost: one round trip, two probes a row.
    """
    found = await db.fetch(_sql.find_standings, *map(list, zip(*rows, strict=True)))
    return [StandingRow(**row) for row in found]


async def insert_request(
    db: Connection, auction_id: UUID, bidder_id: UUID, message: str, now_ms: int
) -> bool:
    """Note a wish to bid; False when there is one already. Cost: one round trip."""
    return await db.fetchval(_sql.insert_request, auction_id, bidder_id, message, now_ms) is not None


async def lock_bidder(db: Connection, auction_id: UUID, bidder_id: UUID) -> ApprovalRow | None:
    """Return what was asked and said about a bidder, locked until commit, or None. Cost: one round trip."""
    row = await db.fetchrow(_sql.lock_bidder, auction_id, bidder_id)
    return ApprovalRow(**row) if row else None


async def decide_bidder(
    db: Connection, auction_id: UUID, bidder_id: UUID, status: str, reason: str, now_ms: int
) -> None:
    """Write what a seller says of a bidder whose row is locked. Cost: one round trip."""
    await db.execute(_sql.decide_bidder, auction_id, bidder_id, status, reason, now_ms)


async def list_bidders(
    db: Connection, auction_id: UUID, after: tuple[int, UUID], status: str | None, limit: int
) -> list[ApprovalRow]:
    """Return up to `limit` bidders who asked after the (instant, id) given, ascending. Cost: a range per status."""
    statuses = [status] if status else get_args(ApprovalStatus)
    rows = await db.fetch(_sql.list_bidders, auction_id, *after, statuses, limit)
    return [ApprovalRow(**row) for row in rows]


async def insert_block(db: Connection, columns: Sequence[Any]) -> bool:
    """Keep a bidder out (columns as in `insert_block`); False when that is so already. Cost: one round trip."""
    return await db.fetchval(_sql.insert_block, *columns) is not None


async def read_block(
    db: Connection, seller_id: UUID, bidder_id: UUID, auction_id: UUID | None
) -> BlockRow | None:
    """Return the block of a bidder, by mask in that auction or by id (None); None if none. Cost: one index probe."""
    row = await db.fetchrow(_sql.read_block, seller_id, bidder_id, auction_id)
    return BlockRow(**row) if row else None


async def count_blocks(db: Connection, seller_id: UUID) -> int:
    """Return how many bidders a seller keeps out. Cost: one index range."""
    return int(await db.fetchval(_sql.count_blocks, seller_id))


async def delete_block(db: Connection, block_id: UUID, seller_id: UUID) -> BlockRow | None:
    """Let a bidder in again; None when the block is not this seller's. Cost: one round trip."""
    row = await db.fetchrow(_sql.delete_block, block_id, seller_id)
    return BlockRow(**row) if row else None


async def list_blocks(db: Connection, seller_id: UUID, after: UUID, limit: int) -> list[BlockRow]:
    """Return up to `limit` blocks of a seller with larger ids, ascending. Cost: one index range."""
    return [BlockRow(**row) for row in await db.fetch(_sql.list_blocks, seller_id, after, limit)]


async def find_auction_bidders(db: Connection, auction_id: UUID) -> list[UUID]:
    """Return everybody who has bid in an auction. Cost: reads all bids of the auction."""
    return [row["bidder_id"] for row in await db.fetch(_sql.find_auction_bidders, auction_id)]


async def read_standing_bids(db: Connection, auction_id: UUID, bidder_id: UUID) -> list[BidderBidRow]:
    """Return a bidder's standing bids, ascending. Cost: reads all bids."""
    rows = await db.fetch(_sql.read_standing_bids, auction_id, bidder_id)
    return [BidderBidRow(**row) for row in rows]


async def find_standing_bidders(db: Connection, auction_id: UUID) -> list[UUID]:
    """Return everybody with a standing bid. Cost: reads all bids of the auction."""
    return [row["bidder_id"] for row in await db.fetch(_sql.find_standing_bidders, auction_id)]
