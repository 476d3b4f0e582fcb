"""The rules of guards as pure functions: what a bid has to be covered by, who may bid, what a seller may decide when.

Exposure: the sum of the maxima a bidder leads with, over all guarded auctions of a currency, is at most the bidder's
limit, at every instant. A bid has to be covered in full when it is placed, also when it does not come to lead: else it
could drive up a price that its bidder cannot pay. A bid for several units leads while it gets one, and counts for all
that it asks for: it gets the others as soon as somebody else goes.
"""

from uuid import UUID

from handlers.auctions.rules import LATE_PHASE_MS, AuctionState, SaleTerms
from protocols.auctions.guards import (
    BidderIsBlocked,
    BidderNotApproved,
    BidderNotFound,
    BidderNotRevocable,
    ExposureExceeded,
)

LIMIT_UNITS_DEFAULT = 10_000
"""What everybody may lead with per currency, in whole units of it, until a limit of their own is set."""

OPEN = frozenset({"scheduled", "live"})

_DECISIONS = {
    "approved": frozenset({"requested", "rejected", "revoked"}),
    "rejected": frozenset({"requested"}),
    "revoked": frozenset({"approved"}),
}
"""What may be decided after what."""


def default_limit(exponent: int) -> int:
    """Return the limit in minor units of a currency with this many decimals."""
    scale: int = 10**exponent
    return LIMIT_UNITS_DEFAULT * scale


def exposures_of(terms: SaleTerms, state: AuctionState) -> dict[UUID, int]:
    """Return whose maxima the auction holds, and how much they are worth."""
    return _leading(state) if terms.exposure_guard else {}


def exposure_in(state: AuctionState, bidder: UUID) -> int:
    """Return how much of a bidder's use is this auction's own: a new bid or purchase here takes its place."""
    return _leading(state).get(bidder, 0)


def find_increased(before: AuctionState, after: AuctionState) -> list[UUID]:
    """Return whose bids count for more than before, best first."""
    had = _leading(before)
    return [bidder for bidder, amount in _leading(after).items() if amount > had.get(bidder, 0)]


def _leading(state: AuctionState) -> dict[UUID, int]:
    if state.status not in OPEN or state.leader_id is None:
        return {}
    if state.allocations:
        return {
            allocation.bidder_id: allocation.amount * allocation.quantity for allocation in state.allocations
        }
    return {state.leader_id: state.leader_max}


def check_cover(limit: int, used: int, held_here: int, amount: int) -> None:
    """Let an amount pass that the limit covers beside everything else. Raises ExposureExceeded."""
    if used - held_here + amount > limit:
        free = max(0, limit - used + held_here)
        detail = (
            f"Your limit is {limit}; {used - held_here} of it is in other bids, {free} is free for this one"
        )
        raise ExposureExceeded(detail, limit=limit, used=used, free=free)


def check_standing(*, needs_approval: bool, status: str | None, blocked: bool) -> None:
    """Let a bidder pass whom the seller wants. Raises BidderIsBlocked, BidderNotApproved."""
    if blocked:
        raise BidderIsBlocked
    if needs_approval and status != "approved":
        raise BidderNotApproved(approval=status or "none")


def check_decision(status: str | None, decision: str) -> bool:
    """Return whether a seller's decision changes anything; the same one twice does not. Raises BidderNotFound."""
    if status == decision:
        return False
    if status not in _DECISIONS[decision]:
        raise BidderNotFound(
            "Nobody with this id asked to bid here" if status is None else f"The bidder is {status}"
        )
    return True


def check_revocation(state: AuctionState, standing: int, at_ms: int, *, sealed: bool) -> None:
    """Let a revocation pass that may take this many standing bids with it. Raises BidderNotRevocable."""
    if not standing or state.status not in OPEN:
        return
    if sealed:
        raise BidderNotRevocable("A sealed bid cannot be taken out before it is opened")
    if state.ends_at_ms - at_ms < LATE_PHASE_MS:
        raise BidderNotRevocable("In the last twelve hours a bidder with standing bids cannot be revoked")
