"""Who gets how many of several units, as events say it, and what a change of the auction changed."""

from uuid import UUID

from handlers.auctions.locking import LockedAuction
from handlers.auctions.rules import AuctionState
from protocols.auctions.events import UnitsHeld, WinnerShare


def allocation_changes(auction: LockedAuction, before: AuctionState) -> list[UnitsHeld]:
    """Return every bidder whose units changed, best first, those who get none any more last."""
    had = {allocation.bidder_id: allocation.units for allocation in before.allocations}
    has = {allocation.bidder_id: allocation.units for allocation in auction.state.allocations}
    return [
        UnitsHeld(bidder=auction.terms.mask(bidder_id), units=has.get(bidder_id, 0))
        for bidder_id in has | had
        if has.get(bidder_id) != had.get(bidder_id)
    ]


def winners(auction: LockedAuction) -> list[tuple[UUID, int]]:
    """Return who gets how many units of an auction that is over."""
    state = auction.state
    if state.status != "sold" or state.leader_id is None:
        return []
    return [(allocation.bidder_id, allocation.units) for allocation in state.allocations] or [
        (state.leader_id, 1)
    ]


def winner_shares(auction: LockedAuction) -> list[WinnerShare] | None:
    """Return who gets how many of several units that were sold, best bid first; None for one unit."""
    if auction.state.status != "sold" or not auction.state.allocations:
        return None
    price = auction.state.price
    return [
        WinnerShare(winner=auction.terms.mask(allocation.bidder_id), quantity=allocation.units, price=price)
        for allocation in auction.state.allocations
    ]
