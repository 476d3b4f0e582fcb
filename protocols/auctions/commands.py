"""Auctions on the wire: commands, replies, tables of events."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from protocols.auctions import deposits as auction_deposits
from protocols.auctions import events as auction_events
from protocols.auctions import guards as auction_guards
from protocols.auctions import second_chances, seller_notices, watching
from protocols.auctions import signals as auction_signals
from protocols.auctions.guards import Bidders
from protocols.auctions.terms import DutchTerms, Format, IncrementRow, NextBid, Quantity, SoftClose, Status
from protocols.goods import Condition, Photo
from protocols.places import RADIUS_M, Near, RadiusM
from protocols.values import AmountMinor, Currency, Cursor, InputTime, Key, PageLimit, Position, Timestamp

# -- Commands and queries ------------------------------------------------------------------------------------


class OpenAuction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Put an own listing up for auction. Amounts are minor units of `currency`.

    Reverse: you ask for what the listing wants (a carriage, say) and pay the price; the lowest bid wins.
    """

    listing_id: UUID
    format: Format
    currency: Currency
    starting_price: Annotated[
        AmountMinor, Meta(description="The least that is bid; in a reverse auction the most.")
    ]
    ends_at: InputTime
    reserve_price: Annotated[
        AmountMinor | None,
        Meta(description="Secret: you sell from this price on; in a reverse auction you pay it at most."),
    ] = None
    buy_now_price: AmountMinor | None = None
    starts_at: InputTime | None = None
    soft_close: SoftClose | None = None
    increments: Literal["default"] | Annotated[list[IncrementRow], Meta(min_length=1, max_length=64)] = (
        "default"
    )
    dutch: DutchTerms | None = None
    group_id: UUID | None = None
    """Your lots with the same group close together: an extension of one moves earlier ends of others."""
    exposure_guard: bool = False
    """Take bids only that their bidder's exposure limit covers; English and Dutch auctions."""
    wallet_guard: bool = False
    """The same, and take bids only that their bidder's wallet covers, what is available and held."""
    bidders: Bidders = "anyone"
    """`approved`: only those you approved may bid."""
    deposit: AmountMinor | None = None
    """What a bidder's first bid takes off the wallet until the auction is over; no reverse auctions."""
    key: Key = ""
    quantity: Annotated[
        Quantity,
        Meta(description="Equal units of the listing, sold at one price each (English and sealed formats)."),
    ] = 1


class GetAuction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read one auction."""

    auction_id: UUID


class PlaceBid(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bid up to `amount`, in a reverse auction down to it.

    English: kept secret, the server bids for you as little as it takes. Reverse: the least you would do it for, kept
    secret, the server asks for as much as it can. Dutch: buys at the current price, if that is not above `amount`.
    Sealed: the bid itself, secret until the close; a second one replaces the first.
    """

    auction_id: UUID
    amount: Annotated[
        AmountMinor,
        Meta(
            description="For each unit. English: your secret maximum; reverse: the least you would do it for, secret; "
            "Dutch: the most you pay now; sealed: the bid."
        ),
    ]
    key: Key = ""
    quantity: Annotated[
        Quantity, Meta(description="Units of a lot of several; the last bid served may get fewer.")
    ] = 1
    deposit: AmountMinor | None = None
    """You agree that the auction's `deposit`, named here, is held of your wallet until the auction is over. Your first
    bid needs it, later ones do not."""


class ListBids(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read the bids of an auction, newest first."""

    auction_id: UUID
    limit: PageLimit = 50
    cursor: Cursor | None = None


class BuyNow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Buy at the buy-now price, a Dutch auction at the current price; the auction ends."""

    auction_id: UUID
    key: Key = ""


class RetractBid(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take a bid back: all own bids while more than twelve hours are left, later only the last one within an hour."""

    auction_id: UUID
    bid_id: UUID


class CancelAuction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End an own auction without a sale: at any time without bids, else while at least twelve hours are left."""

    auction_id: UUID


class ListAuctions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read auctions, the soonest to end first. Filters combine; with one of them, and no status, live ones are read."""

    q: Annotated[str, Meta(max_length=200, examples=["brass lamp"])] = ""
    """Words of the goods, as in `listings.search_listings`."""
    status: Status | None = None
    seller_id: UUID | None = None
    seller: UUID | None = None
    """The older name of `seller_id`."""
    category: Annotated[str, Meta(max_length=40)] = ""
    """A category of the goods; its descendants are included."""
    condition: Condition | None = None
    format: Format | None = None
    currency: Currency | None = None
    min_price: AmountMinor | None = None
    max_price: AmountMinor | None = None
    """Minor units of `currency`, which is needed, of the price now; a Dutch auction's is its starting price."""
    ends_within_s: Annotated[int, Meta(ge=1, le=7_776_000)] | None = None
    has_bids: bool | None = None
    near: Near = ""
    """`lat,lon` in degrees: only auctions of goods within `radius_m` of it."""
    radius_m: RadiusM = RADIUS_M
    sort: Literal["ends_at"] = "ends_at"
    limit: PageLimit = 50
    cursor: Cursor | None = None


# -- Replies -------------------------------------------------------------------------------------------------


class AuctionSummary(Struct, frozen=True, kw_only=True):
    """An auction as everyone sees it."""

    id: UUID
    listing_id: UUID
    seller_id: UUID
    format: Format
    status: Status
    currency: Currency
    starting_price: int
    price: int
    minimum_bid: NextBid
    bid_count: int
    """Standing bids: retracted ones are not counted."""
    leader: str | None
    """Masked: stable within this auction, unlinkable to others."""
    has_reserve: bool
    reserve_met: bool
    buy_now_price: int | None
    """None also when the price has passed it."""
    starts_at: Timestamp
    ends_at: Timestamp
    version: int
    quantity: int = 1
    """Units for sale; `price` is for each."""
    maximum_bid: Annotated[
        int | None,
        Meta(
            description="Reverse: the most a new bidder may ask for, 0 when nobody can ask for less. Else null.",
        ),
    ] = None
    title: str
    """Of the goods. It may change until the start, which does not change the version."""
    photo: Photo | None
    """The first one of the goods; likewise."""


class Auction(AuctionSummary, frozen=True, kw_only=True):
    """One auction, with the place in its channel where this was true."""

    server_time: Timestamp
    position: Position
    extensions: int
    you_lead: bool
    your_maximum: int | None
    """Your own hidden limit while you lead (reverse: your minimum); nobody else's is ever shown."""
    dutch: DutchTerms | None = None
    """With it the price of any instant can be computed; None for other formats."""
    next_price_at: Timestamp | None = None
    """When the price of a live Dutch auction falls next; None when it does not fall any more."""
    group_id: UUID | None = None
    """The lots of this seller with the same group close together."""
    your_units: int = 0
    """Units you would get now."""
    exposure_guard: bool = False
    wallet_guard: bool = False
    bidders: Bidders = "anyone"
    deposit: int | None = None
    """What a bidder's first bid takes off the wallet until the auction is over, in minor units."""
    watcher_count: int = 0
    """Who watches, bidders too. It does not change the version: with a stored answer it may be a little old."""


class ListedAuction(AuctionSummary, frozen=True, kw_only=True):
    """An auction in a list."""

    distance_m: float | None
    """Great-circle metres from `near` to the goods; null without it."""


class AuctionList(Struct, frozen=True, kw_only=True):
    """One page of auctions."""

    items: list[ListedAuction]
    next_cursor: str | None


class BidReceipt(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A durable bid, and where the auction stood right after it."""

    bid_id: UUID
    offset: int
    outcome: Literal["leading", "outbid", "sealed", "won"]
    price: int
    minimum_bid: NextBid
    ends_at: Timestamp
    commitment: str | None = None
    """Of a sealed bid: what everybody sees of it, `commitment_of` its amount and nonce."""
    nonce: str | None = None
    """Of a sealed bid: keep it to prove what you bid; nobody else is told before the close."""
    units: int | None = None
    """Of a lot of several: how many units this bid gets as things stand."""


class BidRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A past bid: the price it made, never the maximum behind it (your own excepted).

    The price of a sealed bid is the starting price until the bid is opened, then its amount.
    """

    bid_id: UUID
    offset: int
    bidder: str
    price: int
    at: Timestamp
    retracted: bool
    """Taken back, or (sealed) replaced by a later bid of the same bidder."""
    your_maximum: int | None
    commitment: str | None = None
    """Of a sealed bid."""
    quantity: int | None = None
    """Of a lot of several: units asked for; of a sealed bid once it is opened."""


class BidList(Struct, frozen=True, kw_only=True):
    """One page of bids."""

    items: list[BidRecord]
    next_cursor: str | None


class Retraction(Struct, frozen=True, kw_only=True):
    """What a retraction left standing."""

    auction_id: UUID
    offset: int
    retracted: int
    """How many bids went."""
    price: int
    minimum_bid: NextBid
    leader: str | None
    bid_count: int
    reserve_met: bool
    ends_at: Timestamp


# -- Events --------------------------------------------------------------------------------------------------

EVENTS = auction_events.EVENTS
"""Event types on `auctions:<auction_id>`, for the interface documents."""

PERSONAL_EVENTS: dict[str, type[Struct]] = {
    **auction_events.PERSONAL_EVENTS,
    **auction_guards.PERSONAL_EVENTS,
    **auction_deposits.PERSONAL_EVENTS,
    **second_chances.PERSONAL_EVENTS,
    **seller_notices.PERSONAL_EVENTS,
    **watching.PERSONAL_EVENTS,
}
"""Event types on `personal:#<user_id>`."""

AUDIT_EVENTS = auction_signals.AUDIT_EVENTS
"""Event types of streams that no channel shows."""

LATEST = auction_events.LATEST
"""Values of latest channels, by the first word of the channel."""
