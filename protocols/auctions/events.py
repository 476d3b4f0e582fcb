"""The events of auctions: on their channels and on their users' personal channels."""

from typing import Literal
from uuid import UUID

from msgspec import Struct

from protocols.auctions.guards import Bidders
from protocols.auctions.terms import DutchTerms, Format, NextBid, Status
from protocols.values import Currency, Timestamp

# -- On `auctions:<auction_id>` ------------------------------------------------------------------------------


class AuctionOpened(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Number 1 of every auction."""

    auction_id: UUID
    listing_id: UUID
    seller_id: UUID
    format: Format
    status: Status
    currency: Currency
    starting_price: int
    minimum_bid: NextBid
    has_reserve: bool
    buy_now_price: int | None
    starts_at: Timestamp
    ends_at: Timestamp
    dutch: DutchTerms | None = None
    quantity: int = 1
    exposure_guard: bool = False
    wallet_guard: bool = False
    bidders: Bidders = "anyone"
    deposit: int | None = None
    """What a bidder's first bid takes off the wallet until the auction is over."""


class AuctionStarted(Struct, frozen=True, kw_only=True):
    """A scheduled auction is live."""

    ends_at: Timestamp


class UnitsHeld(Struct, frozen=True, kw_only=True, gc=False):
    """How many units a bidder would get now."""

    bidder: str
    units: int


class BidPlaced(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A bid was recorded, also when nothing visible changed but the count.

    Of a sealed bid nothing is told but its commitment: price and minimum stay the starting price, nobody leads.
    """

    bid_id: UUID
    bidder: str
    price: int
    minimum_bid: NextBid
    leader: str | None
    bid_count: int
    reserve_met: bool
    ends_at: Timestamp
    commitment: str | None = None
    quantity: int = 1
    """Units asked for; not told of a sealed bid."""
    units_held: list[UnitsHeld] | None = None
    """Of an open lot of several: everybody whose units changed, 0 for who gets none any more."""


class AuctionExtended(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A late bid moved the end: a bid on this lot, or on another one of its group."""

    ends_at: Timestamp
    extensions: int
    """Of this lot itself."""
    by_group: bool = False


class BidRetracted(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Bids were taken back and the price follows the ones that stand."""

    bid_id: UUID
    bidder: str
    retracted: int
    price: int
    minimum_bid: NextBid
    leader: str | None
    bid_count: int
    reserve_met: bool
    ends_at: Timestamp
    units_held: list[UnitsHeld] | None = None
    """Of a lot of several: everybody whose units changed."""
    reason: Literal["retracted", "not_covered", "bidder_revoked"] = "retracted"
    """`not_covered`: they would lead now, and their bidder has too little free. `bidder_revoked`: by the seller."""


class BidOpening(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What a commitment hid: `commitment_of(auction_id, bidder, amount, nonce)` gives it again."""

    offset: int
    """The number of the `bid_placed` that carries the commitment."""
    bid_id: UUID
    bidder: str
    amount: int
    nonce: str
    quantity: int | None = None
    """Of a lot of several: units asked for; the commitment covers it."""


class BidsOpened(Struct, frozen=True, kw_only=True):
    """The standing bids of a sealed auction that has ended, by offset; many bids take several of these events."""

    openings: list[BidOpening]
    reserve_price: int | None
    """Told now, because the result depends on it."""
    remaining: int
    """How many are opened by the events after this one."""


class WinnerShare(Struct, frozen=True, kw_only=True, gc=False):
    """What one of several winners (masked) gets: so many units, and the price for each."""

    winner: str
    quantity: int
    price: int


class AuctionClosed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The auction is over; `winner` is masked, and null unless one unit was sold."""

    outcome: Literal["sold", "unsold", "cancelled"]
    price: int
    winner: str | None
    bid_count: int
    bought_now: bool
    winners: list[WinnerShare] | None = None
    """Of a lot of several that was sold: who gets how many, best bid first."""
    ended_early: bool = False
    """The seller sold to who led before the end."""


# -- On `ticker:<auction_id>` --------------------------------------------------------------------------------


class Ticker(Struct, frozen=True, kw_only=True, gc=False):
    """The newest visible state."""

    price: int
    minimum_bid: NextBid
    leader: str | None
    bid_count: int
    reserve_met: bool
    ends_at: Timestamp


# -- On `personal:#<user_id>` --------------------------------------------------------------------------------


class Outbid(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """You led this auction and do not any more, or get fewer units of it."""

    auction_id: UUID
    title: str
    """Of the goods."""
    currency: Currency
    price: int
    minimum_bid: NextBid
    units: int = 0
    """Of a lot of several: what you still get."""


class LeadingAgain(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Another bidder retracted, and now you lead, or get more units."""

    auction_id: UUID
    title: str
    """Of the goods."""
    currency: Currency
    price: int
    units: int = 1


class AuctionWon(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """You bought it; in a reverse auction you have the job, and are paid the price."""

    auction_id: UUID
    title: str
    """Of the goods."""
    listing_id: UUID
    price: int
    """For each unit."""
    currency: Currency
    quantity: int = 1


class AuctionLost(Struct, frozen=True, kw_only=True):
    """You bid on it and somebody else bought it, or nobody did."""

    auction_id: UUID
    title: str
    """Of the goods."""
    currency: Currency
    listing_id: UUID
    outcome: Literal["sold", "unsold", "cancelled"]


class AuctionSold(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Your auction found a buyer, in a reverse auction who does it; one of these for each of several."""

    auction_id: UUID
    title: str
    """Of the goods."""
    listing_id: UUID
    buyer_id: UUID
    price: int
    """For each unit."""
    currency: Currency
    quantity: int = 1


class AuctionUnsold(Struct, frozen=True, kw_only=True):
    """Your auction ended without a buyer."""

    auction_id: UUID
    title: str
    """Of the goods."""
    currency: Currency
    listing_id: UUID
    bid_count: int


EVENTS: dict[str, type[Struct]] = {
    "auction_opened": AuctionOpened,
    "auction_started": AuctionStarted,
    "bid_placed": BidPlaced,
    "auction_extended": AuctionExtended,
    "bid_retracted": BidRetracted,
    "bids_opened": BidsOpened,
    "auction_closed": AuctionClosed,
}
"""Event types on `auctions:<auction_id>`."""

PERSONAL_EVENTS: dict[str, type[Struct]] = {
    "outbid": Outbid,
    "leading_again": LeadingAgain,
    "auction_won": AuctionWon,
    "auction_lost": AuctionLost,
    "auction_sold": AuctionSold,
    "auction_unsold": AuctionUnsold,
}
"""Event types on `personal:#<user_id>`, for the joined tables of the domain."""

LATEST: dict[str, type[Struct]] = {
    "ticker": Ticker,
}
"""Values of latest channels, by the first word of the channel."""
