"""The words of auctions on the wire. Source: INTERFACE section 5."""

from hashlib import sha256
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from protocols.auction_guards import PERSONAL_EVENTS as GUARD_EVENTS
from protocols.auction_guards import Bidders
from protocols.auction_signals import AUDIT_EVENTS as SIGNAL_EVENTS
from protocols.errors import Refusal
from protocols.second_chances import PERSONAL_EVENTS as SECOND_CHANCE_EVENTS
from protocols.values import AmountMinor, Currency, Cursor, InputTime, Key, PageLimit, Position, Timestamp

Format = Literal["english", "dutch", "sealed_first_price", "sealed_second_price"]
Status = Literal["scheduled", "live", "sold", "unsold", "cancelled"]

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
    """Put an own listing up for auction. Amounts are minor units of `currency`."""

    listing_id: UUID
    format: Format
    currency: Currency
    starting_price: AmountMinor
    ends_at: InputTime
    reserve_price: AmountMinor | None = None
    buy_now_price: AmountMinor | None = None
    starts_at: InputTime | None = None
    soft_close: SoftClose | None = None
    increments: Literal["default"] | Annotated[list[IncrementRow], Meta(min_length=1, max_length=64)] = (
        "default"
    )
    dutch: DutchTerms | None = None
    group_id: UUID | None = None
    """Your English lots with the same group close together: an extension of one moves earlier ends of others."""
    exposure_guard: bool = False
    """Take bids only that their bidder's exposure limit covers; English and Dutch auctions."""
    bidders: Bidders = "anyone"
    """`approved`: only those you approved may bid."""
    key: Key = ""


class GetAuction(Struct, frozen=True):
    """Read one auction."""

    auction_id: UUID


class PlaceBid(Struct, frozen=True):
    """Bid up to `amount`.

    English: kept secret, the server bids for you as little as it takes. Dutch: buys at the current price, if that is
    not above `amount`. Sealed: the bid itself, secret until the close; a second one replaces the first.
    """

    auction_id: UUID
    amount: AmountMinor
    key: Key = ""


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


class GetAudit(Struct, frozen=True):
    """Read all that is needed to check an auction's result, its events page by page."""

    auction_id: UUID
    after: Annotated[int, Meta(ge=0, le=9_007_199_254_740_991)] = 0
    """Events with higher numbers are returned."""
    limit: Annotated[int, Meta(ge=1, le=500)] = 500


class SetIncrements(Struct, frozen=True):
    """Replace a currency's increment table; open auctions keep the one they started with."""

    currency: Currency
    increments: Annotated[list[IncrementRow], Meta(min_length=1, max_length=64)]


class GetIncrements(Struct, frozen=True):
    """Read a currency's increment table and the ones before it."""

    currency: Currency
    limit: PageLimit = 50
    before: Annotated[int, Meta(ge=1, le=2_147_483_647)] = 2_147_483_647
    """Of the history, versions below this number."""


class ListAuctions(Struct, frozen=True):
    """Read auctions, the soonest to end first."""

    status: Status | None = None
    seller: UUID | None = None
    sort: Literal["ends_at"] = "ends_at"
    limit: PageLimit = 50
    cursor: Cursor | None = None


# -- Sealed bids ---------------------------------------------------------------------------------------------


def commitment_of(auction_id: UUID | str, bidder: str, amount: int, nonce: str) -> str:
    """Return what a sealed bid shows of itself: SHA-256 of five lines of text, in hex.

    The lines: `mnbara-sealed-bid-1`, auction id, the bidder's mask, the amount in digits, the nonce (64 hex digits);
    joined by line feeds, none at the end. The nonce has 256 random bits, so amounts cannot be tried out.
    """
    text = f"mnbara-sealed-bid-1\n{auction_id}\n{bidder}\n{amount}\n{nonce}"
    return sha256(text.encode()).hexdigest()


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
    minimum_bid: int
    """The least a new bidder has to offer."""
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


class Auction(AuctionSummary, frozen=True, kw_only=True):
    """One auction, with the place in its channel where this was true."""

    server_time: Timestamp
    position: Position
    extensions: int
    you_lead: bool
    your_maximum: int | None
    """Your own hidden maximum while you lead; nobody else's is ever shown."""
    dutch: DutchTerms | None = None
    """With it the price of any instant can be computed; None for other formats."""
    next_price_at: Timestamp | None = None
    """When the price of a live Dutch auction falls next; None when it does not fall any more."""
    group_id: UUID | None = None
    """The lots of this seller with the same group close together."""
    exposure_guard: bool = False
    bidders: Bidders = "anyone"


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
    minimum_bid: int
    ends_at: Timestamp
    commitment: str | None = None
    """Of a sealed bid: what everybody sees of it, `commitment_of` its amount and nonce."""
    nonce: str | None = None
    """Of a sealed bid: keep it to prove what you bid; nobody else is told before the close."""


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


class BidList(Struct, frozen=True):
    """One page of bids."""

    items: list[BidRecord]
    next_cursor: str | None


class AuditEvent(Struct, frozen=True, omit_defaults=True):
    """A public event with the facts that the rules judged it by."""

    number: int
    data: dict[str, Any]
    """As subscribers saw it: `type`, `at` and its own fields."""
    received_at: Timestamp | None = None
    """Of a bid or purchase: when the server received it; prices and ends follow from this instant."""
    takes_back: list[int] | None = None
    """Of a retraction: the numbers of the bids that went."""


class AuctionAudit(Struct, frozen=True, kw_only=True):
    """An auction as a third party checks it: terms, rule table, timer facts, public events; no secret maximum."""

    auction_id: UUID
    listing_id: UUID
    seller_id: UUID
    format: Format
    currency: Currency
    starting_price: int
    has_reserve: bool
    reserve_price: int | None
    """Told when sealed bids are opened; else None."""
    buy_now_price: int | None
    dutch: DutchTerms | None
    increments: list[IncrementRow]
    soft_close: SoftClose | None
    group_id: UUID | None
    starts_at: Timestamp
    planned_end: Timestamp
    """The end before any extension."""
    ends_at: Timestamp
    close_grace_ms: int
    """How long after its end an auction is closed: bids received before the end are in by then."""
    status: Status
    price: int
    winner: str | None
    """Masked; None unless sold."""
    bid_count: int
    version: int
    """The number of the newest event."""
    events: list[AuditEvent]
    next_after: int | None
    """Ask again with `after` at this number; None when these were the last events."""


class IncrementVersion(Struct, frozen=True):
    """One version of an increment table."""

    version: int
    """0 is the built-in table."""
    increments: list[IncrementRow]
    set_at: Timestamp | None


class IncrementTable(Struct, frozen=True):
    """The table that auctions of a currency get now, and its history, newest first."""

    currency: Currency
    current: IncrementVersion
    history: list[IncrementVersion]


class Retraction(Struct, frozen=True):
    """What a retraction left standing."""

    auction_id: UUID
    offset: int
    retracted: int
    """How many bids went."""
    price: int
    minimum_bid: int
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
    minimum_bid: int
    has_reserve: bool
    buy_now_price: int | None
    starts_at: Timestamp
    ends_at: Timestamp
    dutch: DutchTerms | None = None
    exposure_guard: bool = False
    bidders: Bidders = "anyone"


class AuctionStarted(Struct, frozen=True):
    """A scheduled auction is live."""

    ends_at: Timestamp


class BidPlaced(Struct, frozen=True, gc=False, omit_defaults=True):
    """A bid was recorded, also when nothing visible changed but the count.

    Of a sealed bid nothing is told but its commitment: price and minimum stay the starting price, nobody leads.
    """

    bid_id: UUID
    bidder: str
    price: int
    minimum_bid: int
    leader: str | None
    bid_count: int
    reserve_met: bool
    ends_at: Timestamp
    commitment: str | None = None


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
    minimum_bid: int
    leader: str | None
    bid_count: int
    reserve_met: bool
    ends_at: Timestamp
    reason: Literal["retracted", "not_covered", "bidder_revoked"] = "retracted"
    """`not_covered`: they would lead now, and their bidder has too little free. `bidder_revoked`: by the seller."""


class BidOpening(Struct, frozen=True, gc=False):
    """What a commitment hid: `commitment_of(auction_id, bidder, amount, nonce)` gives it again."""

    offset: int
    """The number of the `bid_placed` that carries the commitment."""
    bid_id: UUID
    bidder: str
    amount: int
    nonce: str


class BidsOpened(Struct, frozen=True):
    """The standing bids of a sealed auction that has ended, by offset; many bids take several of these events."""

    openings: list[BidOpening]
    reserve_price: int | None
    """Told now, because the result depends on it."""
    remaining: int
    """How many are opened by the events after this one."""


class AuctionClosed(Struct, frozen=True):
    """The auction is over; `winner` is masked and None unless sold."""

    outcome: Literal["sold", "unsold", "cancelled"]
    price: int
    winner: str | None
    bid_count: int
    bought_now: bool = False
    ended_early: bool | UnsetType = UNSET
    """The seller sold to the leader before the end."""


# -- On `ticker:<auction_id>` --------------------------------------------------------------------------------


class Ticker(Struct, frozen=True, gc=False):
    """The newest visible state."""

    price: int
    minimum_bid: int
    leader: str | None
    bid_count: int
    reserve_met: bool
    ends_at: Timestamp


# -- Events on `personal:#<user_id>` -------------------------------------------------------------------------


class Outbid(Struct, frozen=True, gc=False):
    """You led this auction and do not any more."""

    auction_id: UUID
    price: int
    minimum_bid: int


class LeadingAgain(Struct, frozen=True):
    """Another bidder retracted, and now you lead."""

    auction_id: UUID
    price: int


class AuctionWon(Struct, frozen=True):
    """You bought it."""

    auction_id: UUID
    listing_id: UUID
    price: int
    currency: Currency


class AuctionLost(Struct, frozen=True):
    """You bid on it and somebody else bought it, or nobody did."""

    auction_id: UUID
    listing_id: UUID
    outcome: Literal["sold", "unsold", "cancelled"]


class AuctionSold(Struct, frozen=True):
    """Your auction found a buyer."""

    auction_id: UUID
    listing_id: UUID
    buyer_id: UUID
    price: int
    currency: Currency


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


class OwnAuction(Refusal):
    """You cannot bid on or buy from your own auction."""

    code, number, status = "own_auction", 703, 403


class BidNotRetractable(Refusal):
    """This bid cannot be taken back any more."""

    code, number, status = "bid_not_retractable", 704, 409


class ListingAlreadyInAuction(Refusal):
    """This listing is in an auction that is scheduled or live."""

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
