"""The rules of stock, pure: who may reserve what, what a movement leaves, how long a reservation holds."""

from dataclasses import replace
from typing import Literal
from uuid import UUID

from protocols.errors import Stale
from protocols.listings import ListingNotActive, ListingNotFound
from protocols.stock import (
    InsufficientStock,
    ListingHasNoPrice,
    OwnListing,
    ReserveStock,
    TooManyReservations,
)
from protocols.values import Money
from storage.listings.stock_postgres import StockRow

RESERVED_FOR_MS = 15 * 60_000
"""How long a buyer has to order what is reserved. Source: FEATURES section 2, time-boxed reservation."""

HELD_MAX = 20
"""Reservations one user may hold at a time: a full basket, and no way to empty a market."""


def judge_reservation(
    row: StockRow | None, command: ReserveStock, buyer_id: UUID, held: int, in_auction: int = 0
) -> None:
    """Let the buyer have the pieces, of those that are not `in_auction`.

    Raises: ListingNotFound, OwnListing, ListingNotActive, Stale, ListingHasNoPrice, InsufficientStock,
    TooManyReservations.
    """
    if row is None or (row.status == "draft" and row.seller_id != buyer_id):
        raise ListingNotFound
    if row.seller_id == buyer_id:
        raise OwnListing
    if row.status != "active":
        raise ListingNotActive(listing_status=row.status)
    if command.version is not None and not row.terms_version <= command.version <= row.version:
        raise Stale(
            "The seller changed the price or the terms since; look at the listing again",
            version=row.version,
            price=price_of(row),
            saleable=saleable(row),
        )
    if row.price_minor is None:
        raise ListingHasNoPrice
    free = max(0, saleable(row) - in_auction)
    if command.quantity > free:
        beside = f"; an auction sells {in_auction} more" if in_auction else ""
        raise InsufficientStock(f"{free} left{beside}", saleable=free, version=row.version)
    if held >= HELD_MAX:
        raise TooManyReservations(maximum=HELD_MAX)


def saleable(row: StockRow) -> int:
    """Return how many pieces can be bought now."""
    return row.quantity - row.reserved


def price_of(row: StockRow) -> Money | None:
    """Return what one piece costs."""
    return None if row.price_minor is None or row.currency is None else Money(row.price_minor, row.currency)


def reserve(row: StockRow, quantity: int) -> StockRow:
    """Return the stock with so many pieces more reserved, one version on."""
    return replace(row, version=row.version + 1, reserved=row.reserved + quantity)


def release(row: StockRow, quantity: int) -> StockRow:
    """Return the stock with so many reserved pieces given back, one version on."""
    return replace(row, version=row.version + 1, reserved=row.reserved - quantity)


Ended = Literal["released", "expired"]
"""How a reservation ends without an order: by its buyer, or by the clock."""
