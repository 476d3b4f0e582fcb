"""The bids of sealed auctions: encrypted until their auction has ended."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "sealed.sql")

SEALED_COLUMNS = ("auction_id", "number", "bid_id", "bidder_id", "at_ms", "commitment", "closed")
"""What a new sealed bid is made of, in the order of its row."""

Pair = tuple[UUID, UUID]
"""An auction and a bidder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptedBidRow:
    """The last bid of a bidder, still encrypted."""

    auction_id: UUID
    number: int
    bid_id: UUID
    bidder_id: UUID
    closed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedBidRow:
    """A bid in the list of an auction; amount and quantity are None until it is opened."""

    number: int
    bid_id: UUID
    bidder_id: UUID
    amount: int | None
    at_ms: int
    commitment: bytes
    quantity: int | None
    replaced: bool
    """By a later bid of the same bidder."""


async def find_bidders(db: Connection, pairs: Iterable[Pair]) -> set[Pair]:
    """Return those pairs whose bidder has a sealed bid in the auction. Cost: one round trip, a probe per pair."""
    auction_ids, bidder_ids = zip(*pairs, strict=True)
    return {(row[0], row[1]) for row in await db.fetch(_sql.find_bidders, auction_ids, bidder_ids)}


async def insert_sealed_bids(db: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows of `SEALED_COLUMNS`. Cost: one round trip if any."""
    if rows:
        await db.copy_records_to_table("sealed_bids", records=rows, columns=SEALED_COLUMNS)


async def read_standing(db: Connection, auction_ids: Iterable[UUID]) -> list[EncryptedBidRow]:
    """Return the bids that count, by auction and number.

    Cost: one round trip, reads all bids of these auctions.
    """
    return [EncryptedBidRow(**row) for row in await db.fetch(_sql.read_standing, list(auction_ids))]


async def open_bids(db: Connection, rows: Sequence[tuple[UUID, int, int, bytes, int | None]]) -> None:
    """Write (auction_id, number, amount, nonce, quantity) of opened bids. Cost: one round trip if any."""
    if rows:
        await db.execute(_sql.open_bids, *map(list, zip(*rows, strict=True)))


async def list_sealed_bids(db: Connection, auction_id: UUID, before: int, limit: int) -> list[SealedBidRow]:
    """Return up to `limit` bids with number < before, descending; amounts of opened ones. Cost: one index range."""
    rows = await db.fetch(_sql.list_sealed_bids, auction_id, before, limit)
    return [SealedBidRow(**row) for row in rows]
