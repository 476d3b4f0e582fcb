"""Stock of listings: reservations for a while, movements, and the latest channel that shows both to watchers.

Commands, replies, events, refusals of the listings domain; `protocols/listings/commands.py` joins them to the rest.
"""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from msgspec import Meta, Struct

from protocols.errors import Refusal
from protocols.values import Cursor, Key, Money, PageLimit, Timestamp

Pieces = Annotated[int, Meta(ge=1, le=10_000)]
Version = Annotated[int, Meta(ge=1, le=2_147_483_647)]
"""The version of a listing that a client has read."""

ReservationStatus = Literal["held", "released", "expired", "sold"]
MovementKind = Literal["reserve", "release", "sale", "adjust", "auction", "return"]
"""`auction`: pieces went into an auction; `return`: an auction ended without selling them."""


# -- Commands ----------------------------------------------------------------------------------------------------------


class ReserveStock(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hold pieces of a listing for a while, at today's price."""

    listing_id: UUID
    quantity: Pieces = 1
    version: Version | None = None
    """The listing as the buyer saw it: refused when the seller has changed price or terms since."""
    key: Key = ""


class ReleaseReservation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give reserved pieces back; repeating it changes nothing."""

    reservation_id: UUID
    key: Key = ""


class GetReservation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read an own reservation."""

    reservation_id: UUID


class ListReservations(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read own reservations, newest first."""

    status: ReservationStatus | None = None
    limit: PageLimit = 20
    cursor: Cursor = ""


class ListMovements(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read the movements of an own listing's stock, newest first."""

    listing_id: UUID
    limit: PageLimit = 20
    cursor: Cursor = ""


# -- Replies -----------------------------------------------------------------------------------------------------------


class Reservation(Struct, frozen=True, kw_only=True):
    """Pieces held for a buyer until `expires_at`; the price holds as long, whatever the seller changes."""

    reservation_id: UUID
    listing_id: UUID
    quantity: int
    unit_price: Money
    listing_version: int
    """The version the reservation made of the listing."""
    status: ReservationStatus
    created_at: Timestamp
    expires_at: Timestamp


class Reservations(Struct, frozen=True, kw_only=True):
    """A page of own reservations."""

    items: list[Reservation]
    next_cursor: str | None


class Movement(Struct, frozen=True, kw_only=True):
    """One change of stock: how many pieces, and what was left on hand, reserved and in auctions."""

    version: int
    kind: MovementKind
    quantity: int
    on_hand: int
    reserved: int
    auctioned: int
    reservation_id: UUID | None
    auction_id: UUID | None
    at: Timestamp


class Movements(Struct, frozen=True, kw_only=True):
    """A page of movements."""

    items: list[Movement]
    next_cursor: str | None


# -- Events ------------------------------------------------------------------------------------------------------------


class StockMoved(Struct, frozen=True, kw_only=True):
    """Pieces were reserved, released, put up for auction, returned from it, or sold (audit)."""

    kind: MovementKind
    quantity: int
    on_hand: int
    reserved: int
    auctioned: int = 0
    reservation_id: UUID | None
    """Whose pieces moved, if they were a reservation's."""
    auction_id: UUID | None = None
    """Whose pieces moved, if they were an auction's."""
    version: int


class Stock(Struct, frozen=True, kw_only=True):
    """What a watcher of `stock:<listing_id>` sees: price, pieces that can be had now, version, status."""

    price: Money | None
    saleable: int
    version: int
    status: str


# -- Refusals (603-609) ------------------------------------------------------------------------------------------------


class InsufficientStock(Refusal):
    """Fewer pieces are left than were asked for; `saleable` says how many."""

    code, number, status = "insufficient_stock", 603, 409
    example: ClassVar[dict[str, Any]] = {"saleable": 2, "version": 7}


class ListingHasNoPrice(Refusal):
    """The listing has no price to buy it at; its seller has to name one first."""

    code, number, status = "listing_has_no_price", 604, 409


class TooManyReservations(Refusal):
    """You hold as many reservations as one user may; release one or wait for one to expire."""

    code, number, status = "too_many_reservations", 606, 429
    example: ClassVar[dict[str, Any]] = {"maximum": 20}


class ReservationNotFound(Refusal):
    """There is no such reservation of yours."""

    code, number, status = "reservation_not_found", 607, 404


class ReservationSold(Refusal):
    """The reservation became an order."""

    code, number, status = "reservation_sold", 608, 409


class StockHeld(Refusal):
    """Buyers and auctions hold more pieces than that; `reserved` and `auctioned` say how many."""

    code, number, status = "stock_held", 609, 409
    example: ClassVar[dict[str, Any]] = {"reserved": 3, "auctioned": 0}
