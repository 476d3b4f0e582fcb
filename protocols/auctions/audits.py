"""Checking an auction on the wire: its audit, and the commitments of sealed bids."""

from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

from protocols.auctions.terms import DutchTerms, Format, IncrementRow, SoftClose, Status
from protocols.values import Currency, Timestamp


class GetAudit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read all that is needed to check an auction's result, its events page by page."""

    auction_id: UUID
    after: Annotated[int, Meta(ge=0, le=9_007_199_254_740_991)] = 0
    """Events with higher numbers are returned."""
    limit: Annotated[int, Meta(ge=1, le=500)] = 500


class AuditEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
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
    """Masked; None unless sold, and for several units, whose winners are told by `auction_closed`."""
    bid_count: int
    version: int
    """The number of the newest event."""
    events: list[AuditEvent]
    next_after: int | None
    """Ask again with `after` at this number; None when these were the last events."""
    quantity: int = 1


def commitment_of(
    auction_id: UUID | str, bidder: str, amount: int, nonce: str, quantity: int | None = None
) -> str:
    """Return what a sealed bid shows of itself: SHA-256 of five lines of text, in hex.

    The lines: `mnbara-sealed-bid-1`, auction id, the bidder's mask, the amount in digits, the nonce (64 hex digits);
    joined by line feeds, none at the end. The nonce has 256 random bits, so amounts cannot be tried out. In a lot of
    several units the amount's line goes on with ` x ` and the quantity.
    """
    offer = str(amount) if quantity is None else f"{amount} x {quantity}"
    text = f"mnbara-sealed-bid-1\n{auction_id}\n{bidder}\n{offer}\n{nonce}"
    return sha256(text.encode()).hexdigest()
