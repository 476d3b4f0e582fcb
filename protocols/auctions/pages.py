"""Auctions as one of their readers sees them: an entry of a watch list, a whole page."""

from uuid import UUID

from msgspec import Struct

from protocols.auctions.commands import Auction, AuctionSummary, BidRecord
from protocols.auctions.watching import YourState
from protocols.values import Position, Timestamp

# -- Queries -------------------------------------------------------------------------------------------------


class GetPage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read all that an auction's page shows, as it was at one instant."""

    auction_id: UUID


# -- Replies -------------------------------------------------------------------------------------------------


class WatchedAuction(AuctionSummary, frozen=True, kw_only=True):
    """An auction of your watch list."""

    your_state: YourState
    your_maximum: int | None
    """While you lead."""
    remind_before_s: list[int]


class WatchList(Struct, frozen=True, kw_only=True):
    """One page of your watch list."""

    items: list[WatchedAuction]
    next_cursor: str | None
    server_time: Timestamp


class PageListing(Struct, frozen=True, kw_only=True):
    """The goods, as far as everybody may see them."""

    id: UUID
    title: str
    description: str
    category: str
    condition: str
    weight_g: int | None
    volume_cm3: int | None
    attributes: dict[str, str | int | float | bool]
    version: int


class PageSeller(Struct, frozen=True, kw_only=True):
    """Who sells."""

    id: UUID
    display_name: str
    since: Timestamp | None
    """When the account was made."""


class You(Struct, frozen=True, kw_only=True):
    """How you stand in an auction."""

    state: YourState
    mask: str
    """The name under which your bids are shown in this auction."""
    maximum: int | None
    """Your own hidden maximum while you lead."""
    is_seller: bool
    watching: bool
    remind_before_s: list[int]


class AuctionPage(Struct, frozen=True, kw_only=True):
    """An auction's page: subscribe from its `position`, and nothing is missed or doubled."""

    auction: Auction
    listing: PageListing
    seller: PageSeller
    bids: list[BidRecord]
    """The newest ten, newest first."""
    you: You | None
    """None for anonymous readers."""
    server_time: Timestamp
    position: Position
    version: int
    """Another one whenever anything but the clock and `watching_now` has changed; the ETag."""
    watching_now: int | None
    """Connections that follow the auction at the moment, a few seconds old; None while that cannot be said."""
