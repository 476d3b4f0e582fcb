"""The words of signals on the wire: what looks like shill bidding or bid shielding, for support alone."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from protocols.errors import Refusal
from protocols.values import Cursor, PageLimit, Timestamp

SignalKind = Literal["shielding", "one_seller", "never_wins", "shared_address"]
SignalStatus = Literal["open", "confirmed", "dismissed"]


class ListSignals(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read signals of one status, newest first."""

    status: SignalStatus = "open"
    seller: UUID | None = None
    limit: PageLimit = 50
    cursor: Cursor | None = None


class ResolveSignal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say what looking into a signal found."""

    signal_id: UUID
    outcome: Literal["confirmed", "dismissed"]
    note: Annotated[str, Meta(min_length=1, max_length=2000)]


class Signal(Struct, frozen=True, kw_only=True):
    """Something to look into: a signal is no proof."""

    id: UUID
    auction_id: UUID
    seller_id: UUID
    bidder_id: UUID
    kind: SignalKind
    score: int
    """1 to 100: how far the facts are beyond what makes the signal."""
    evidence: dict[str, int]
    """The numbers that made it, by name."""
    status: SignalStatus
    note: str
    raised_at: Timestamp
    resolved_by: UUID | None
    resolved_at: Timestamp | None


class SignalList(Struct, frozen=True, kw_only=True):
    """One page of signals."""

    items: list[Signal]
    next_cursor: str | None


class SignalRaised(Struct, frozen=True, kw_only=True):
    """Number 1 of the stream of a signal."""

    signal_id: UUID
    auction_id: UUID
    seller_id: UUID
    bidder_id: UUID
    kind: SignalKind
    score: int
    evidence: dict[str, int]


class SignalResolved(Struct, frozen=True, kw_only=True):
    """Number 2: support looked into it."""

    signal_id: UUID
    outcome: Literal["confirmed", "dismissed"]
    by: UUID
    note: str


AUDIT_EVENTS: dict[str, type[Struct]] = {
    "signal_raised": SignalRaised,
    "signal_resolved": SignalResolved,
}
"""Event types of the stream of a signal; no channel shows it."""


class SignalNotFound(Refusal):
    """There is no signal with this id."""

    code, number, status = "signal_not_found", 732, 404


class SignalAlreadyResolved(Refusal):
    """Somebody has said already what this signal was."""

    code, number, status = "signal_already_resolved", 733, 409
