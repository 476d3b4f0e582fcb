"""The words of auctions on the wire. Source: INTERFACE section 5."""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from msgspec import Meta, Struct

from protocols import watching
from protocols.auction_guards import PERSONAL_EVENTS as GUARD_EVENTS
from protocols.auction_guards import Bidders
from protocols.auction_signals import AUDIT_EVENTS as SIGNAL_EVENTS
from protocols.errors import Refusal
from protocols.second_chances import PERSONAL_EVENTS as SECOND_CHANCE_EVENTS
from protocols.values import AmountMinor, Currency, Cursor, InputTime, Key, PageLimit, Position, Timestamp

Format = Literal["english", "reverse", "dutch", "sealed_first_price", "sealed_second_price"]
Status = Literal["scheduled", "live", "sold", "unsold", "cancelled"]
Quantity = Annotated[int, Meta(ge=1, le=100)]
"""Units of one lot."""
NextBid = Annotated[
    int,
    Meta(
        description="The bid a new bidder has to reach: the least to offer, in a reverse auction the most to ask for."
    ),
]

# -- Commands and queries ------------------------------------------------------------------------------------


class SoftClose(Struct, frozen=True):
    """A bid in the last `window_s` moves the end to `extend_s` from now, at most `max_extensions` times."""

    window_s: Annotated[int, Meta(ge=30, le=1800)] = 120
    extend_s: Annotated[int, Meta(ge=1, le=1800)] = 120
    max_extensions: Annotated[int, Meta(ge=1, le=1000)] = 10


class DutchTerms(Struct, frozen=True):
    """How a Dutch auction's price falls: by `step` every `tick_s` from the start, never below `floor_price`."""

    floor_price: AmountMinor
    step: AmountMinor
    tick_s: Annotated[int, Meta(ge=1, le=86_400)]


IncrementRow = tuple[AmountMinor | None, AmountMinor]
"""`[limit, step]`: below this price the least raise is `step`; a null limit means "above all others"."""


class OpenAuction(Struct, frozen=True):
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
    """Take bids only that their bidder's exposure limit covers; English and Dutch auctions of one unit."""
    bidders: Bidders = "anyone"
    """`approved`: only those you approved may bid."""
    key: Key = ""
    quantity: Annotated[
        Quantity,
        Meta(description="Equal units of the listing, sold at one price each (English and sealed formats)."),
    ] = 1


class GetAuction(Struct, frozen=True):
    """Read one auction."""

    auction_id: UUID


class PlaceBid(Struct, frozen=True):
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


class ListBids(Struct, frozen=True):
    """Read the bids of an auction, newest first."""

    auction_id: UUID
    limit: PageLimit = 50
    cursor: Cursor | None = None


class BuyNow(Struct, frozen=True):
    """Buy at the buy-now price, a Dutch auction at the current price; the auction ends."""

    auction_id: UUID
    key: Key = ""


class RetractBid(Struct, frozen=True):
    """Take a bid back: all own bids while more than twelve hours are left, later only the last one within an hour."""

    auction_id: UUID
    bid_id: UUID


class CancelAuction(Struct, frozen=True):
    """End an own auction without a sale: at any time without bids, else while at least twelve hours are left."""

    auction_id: UUID


class ListAuctions(Struct, frozen=True):
    """Read auctions, the soonest to end first. Filters combine; with one of them, and no status, live ones are read."""

    status: Status | None = None
    seller: UUID | None = None
    category: Annotated[str, Meta(max_length=40)] = ""
    """A category of the goods; its descendants are included."""
    format: Format | None = None
    currency: Currency | None = None
    min_price: AmountMinor | None = None
    max_price: AmountMinor | None = None
    """Of the price now, in each auction's own currency; a Dutch auction's is its starting price."""
    ends_within_s: Annotated[int, Meta(ge=1, le=7_776_000)] | None = None
    has_bids: bool | None = None
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
    bidders: Bidders = "anyone"
    watcher_count: int = 0
    """Who watches, bidders too. It does not change the version: with a stored answer it may be a little old."""


class AuctionList(Struct, frozen=True):
    """One page of auctions."""

    items: list[AuctionSummary]
    next_cursor: str | None


class BidReceipt(Struct, frozen=True, gc=False, omit_defaults=True):
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


class BidRecord(Struct, frozen=True, omit_defaults=True):
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


class BidList(Struct, frozen=True):
    """One page of bids."""

    items: list[BidRecord]
    next_cursor: str | None


class Retraction(Struct, frozen=True):
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


# -- Events on `auctions:<auction_id>` -----------------------------------------------------------------------


class AuctionOpened(Struct, frozen=True, omit_defaults=True):
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
    bidders: Bidders = "anyone"


class AuctionStarted(Struct, frozen=True):
    """A scheduled auction is live."""

    ends_at: Timestamp


class UnitsHeld(Struct, frozen=True, gc=False):
    """How many units a bidder would get now."""

    bidder: str
    units: int


class BidPlaced(Struct, frozen=True, gc=False, omit_defaults=True):
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


class AuctionExtended(Struct, frozen=True, gc=False, omit_defaults=True):
    """A late bid moved the end: a bid on this lot, or on another one of its group."""

    ends_at: Timestamp
    extensions: int
    """Of this lot itself."""
    by_group: bool = False


class BidRetracted(Struct, frozen=True, omit_defaults=True):
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


class BidOpening(Struct, frozen=True, gc=False, omit_defaults=True):
    """What a commitment hid: `commitment_of(auction_id, bidder, amount, nonce)` gives it again."""

    offset: int
    """The number of the `bid_placed` that carries the commitment."""
    bid_id: UUID
    bidder: str
    amount: int
    nonce: str
    quantity: int | None = None
    """Of a lot of several: units asked for; the commitment covers it."""


class BidsOpened(Struct, frozen=True):
    """The standing bids of a sealed auction that has ended, by offset; many bids take several of these events."""

    openings: list[BidOpening]
    reserve_price: int | None
    """Told now, because the result depends on it."""
    remaining: int
    """How many are opened by the events after this one."""


class WinnerShare(Struct, frozen=True, gc=False):
    """What one of several winners (masked) gets: so many units, and the price for each."""

    winner: str
    quantity: int
    price: int


class AuctionClosed(Struct, frozen=True, omit_defaults=True):
    """The auction is over; `winner` is masked and None unless one unit was sold."""

    outcome: Literal["sold", "unsold", "cancelled"]
    price: int
    winner: str | None
    bid_count: int
    bought_now: bool
    winners: list[WinnerShare] | None = None
    """Of a lot of several that was sold: who gets how many, best bid first."""
    ended_early: bool = False
    """The seller sold to the leader before the end."""


# -- On `ticker:<auction_id>` --------------------------------------------------------------------------------


class Ticker(Struct, frozen=True, gc=False):
    """The newest visible state."""

    price: int
    minimum_bid: NextBid
    leader: str | None
    bid_count: int
    reserve_met: bool
    ends_at: Timestamp


# -- Events on `personal:#<user_id>` -------------------------------------------------------------------------


class Outbid(Struct, frozen=True, gc=False, omit_defaults=True):
    """You led this auction and do not any more, or get fewer units of it."""

    auction_id: UUID
    price: int
    minimum_bid: NextBid
    units: int = 0
    """Of a lot of several: what you still get."""


class LeadingAgain(Struct, frozen=True, omit_defaults=True):
    """Another bidder retracted, and now you lead, or get more units."""

    auction_id: UUID
    price: int
    units: int = 1


class AuctionWon(Struct, frozen=True, omit_defaults=True):
    """You bought it; in a reverse auction you have the job, and are paid the price."""

    auction_id: UUID
    listing_id: UUID
    price: int
    """For each unit."""
    currency: Currency
    quantity: int = 1


class AuctionLost(Struct, frozen=True):
    """You bid on it and somebody else bought it, or nobody did."""

    auction_id: UUID
    listing_id: UUID
    outcome: Literal["sold", "unsold", "cancelled"]


class AuctionSold(Struct, frozen=True, omit_defaults=True):
    """Your auction found a buyer, in a reverse auction who does it; one of these for each of several."""

    auction_id: UUID
    listing_id: UUID
    buyer_id: UUID
    price: int
    """For each unit."""
    currency: Currency
    quantity: int = 1


class AuctionUnsold(Struct, frozen=True):
    """Your auction ended without a buyer."""

    auction_id: UUID
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
"""Event types on `auctions:<auction_id>`, for the interface documents."""

PERSONAL_EVENTS: dict[str, type[Struct]] = {
    "outbid": Outbid,
    "leading_again": LeadingAgain,
    "auction_won": AuctionWon,
    "auction_lost": AuctionLost,
    "auction_sold": AuctionSold,
    "auction_unsold": AuctionUnsold,
    **GUARD_EVENTS,
    **SECOND_CHANCE_EVENTS,
    **watching.PERSONAL_EVENTS,
}
"""Event types on `personal:#<user_id>`."""

AUDIT_EVENTS = SIGNAL_EVENTS
"""Event types of streams that no channel shows."""

LATEST: dict[str, type[Struct]] = {
    "ticker": Ticker,
}
"""Values of latest channels, by the first word of the channel."""


# -- Refusals ------------------------------------------------------------------------------------------------


class AuctionNotFound(Refusal):
    """There is no auction with this id."""

    code, number, status = "auction_not_found", 700, 404


class AuctionNotLive(Refusal):
    """The auction has not started yet or is over."""

    code, number, status = "auction_not_live", 701, 409


class BidTooLow(Refusal):
    """The bid is below `minimum_bid`."""

    code, number, status = "bid_too_low", 702, 422
    example: ClassVar[dict[str, Any]] = {"minimum_bid": 1250}


class BidTooHigh(Refusal):
    """The bid in a reverse auction is above `maximum_bid`."""

    code, number, status = "bid_too_high", 710, 422
    example: ClassVar[dict[str, Any]] = {"maximum_bid": 1150}


class TooManyUnits(Refusal):
    """The auction does not have as many units; ask for fewer."""

    code, number, status = "too_many_units", 711, 422


class UnitsReduced(Refusal):
    """Another bid of yours has to ask for at least as many units as the one that gets some."""

    code, number, status = "units_reduced", 712, 422


class OwnAuction(Refusal):
    """You cannot bid on or buy from your own auction."""

    code, number, status = "own_auction", 703, 403


class BidNotRetractable(Refusal):
    """This bid cannot be taken back any more."""

    code, number, status = "bid_not_retractable", 704, 409


class ListingAlreadyInAuction(Refusal):
    """This listing is in an auction that is scheduled or live; cancel that one, or wait until it has ended."""

    code, number, status = "listing_already_in_auction", 706, 409


class BuyNowUnavailable(Refusal):
    """There is no buy-now price, or the price has passed it."""

    code, number, status = "buy_now_unavailable", 707, 409


class AuctionNotCancellable(Refusal):
    """With bids, an auction can be cancelled only while at least twelve hours are left."""

    code, number, status = "auction_not_cancellable", 708, 409


class ListingNotAuctionable(Refusal):
    """There is no active listing with this id."""

    code, number, status = "listing_not_auctionable", 709, 409
