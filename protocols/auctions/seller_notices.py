"""What a seller is told while an auction is live: the setting and the events."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from protocols.values import AmountMinor, Currency

PRICES_MAX = 20

# -- Commands and queries ------------------------------------------------------------------------------------


class SetSellerNotices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Choose what you are told of an own open auction while bids come; what is left out is as at the opening."""

    auction_id: UUID
    first_bid: bool = True
    """Tell when a bid stands where none did."""
    reserve_met: bool = True
    """Tell when the reserve is met."""
    prices: Annotated[
        list[AmountMinor],
        Meta(
            max_length=PRICES_MAX,
            description="Tell when the price reaches one of these, in a reverse auction when it falls so far.",
        ),
    ] = []


class GetSellerNotices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read what you are told of an own auction."""

    auction_id: UUID


# -- Replies -------------------------------------------------------------------------------------------------


class SellerNotices(Struct, frozen=True, kw_only=True):
    """What the seller of an auction is told while it is live."""

    auction_id: UUID
    first_bid: bool
    reserve_met: bool
    prices: list[int]
    """Ascending."""


# -- Events on `personal:#<user_id>` -------------------------------------------------------------------------


class FirstBidPlaced(Struct, frozen=True, kw_only=True):
    """Your auction has a bid, after none or after all were taken back."""

    auction_id: UUID
    listing_id: UUID
    title: str
    currency: Currency
    price: int
    bid_count: int


class ReserveMet(Struct, frozen=True, kw_only=True):
    """A bid on your auction meets the reserve: as things stand it will be sold."""

    auction_id: UUID
    listing_id: UUID
    title: str
    currency: Currency
    price: int
    bid_count: int


class PriceReached(Struct, frozen=True, kw_only=True):
    """The price of your auction has reached one that you chose; of several at once the farthest is told."""

    auction_id: UUID
    listing_id: UUID
    title: str
    currency: Currency
    reached: int
    """The price you chose."""
    price: int
    """The price now."""
    bid_count: int


PERSONAL_EVENTS: dict[str, type[Struct]] = {
    "first_bid_placed": FirstBidPlaced,
    "reserve_met": ReserveMet,
    "price_reached": PriceReached,
}
"""Event types on `personal:#<user_id>`."""
