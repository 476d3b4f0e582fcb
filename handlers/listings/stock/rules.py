"""The rules of stock, pure: who may reserve what, what a movement leaves, how long a reservation holds."""

from dataclasses import replace
from typing import Literal
from uuid import UUID

from protocols.errors import Stale
from protocols.listings.commands import ListingNotActive
from protocols.listings.refusals import ListingNotFound, OwnListing
from protocols.listings.stock import InsufficientStock, ListingHasNoPrice, ReserveStock, TooManyReservations
from protocols.listings.stock_levels import StockRow

RESERVED_FOR_MS = 15 * 60_000
"""How long a buyer has to order what is reserved."""

HELD_MAX = 20
"""Reservations one user may hold at a time: a full basket, and no way to empty a market."""


def check_reservation(row: StockRow | None, command: ReserveStock, buyer_id: UUID, held: int) -> None:
    """Let a reservation pass.

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
            price=row.price,
            saleable=row.saleable,
        )
    if row.price_minor is None:
        raise ListingHasNoPrice
    if command.quantity > row.saleable:
        beside = f"; an auction sells {row.auctioned} more" if row.auctioned else ""
        raise InsufficientStock(f"{row.saleable} left{beside}", saleable=row.saleable, version=row.version)
    if held >= HELD_MAX:
        raise TooManyReservations(maximum=HELD_MAX)


def reserve(row: StockRow, quantity: int) -> StockRow:
    """Return the stock with a larger quantity reserved, one version on."""
    return replace(row, version=row.version + 1, reserved=row.reserved + quantity)


def release(row: StockRow, quantity: int) -> StockRow:
    """Return the stock with a reserved quantity given back, one version on."""
    return replace(row, version=row.version + 1, reserved=row.reserved - quantity)


Ended = Literal["released", "expired"]
"""How a reservation ends without an order: by its buyer, or by the clock."""
