"""How the units of a lot of several are told: who holds how many, and what a change changed."""

from handlers.auctions.locking import LockedAuction
from handlers.auctions.rules import AuctionState
from protocols.auctions.events import UnitsHeld, WinnerShare


def allocation_changes(auction: LockedAuction, before: AuctionState) -> list[UnitsHeld]:
    """Return every bidder whose units are not what they were, by place, those who have none any more last."""
    had = {place.bidder_id: place.units for place in before.allocations}
    has = {place.bidder_id: place.units for place in auction.state.allocations}
    return [
        UnitsHeld(auction.terms.mask(bidder_id), has.get(bidder_id, 0))
        for bidder_id in has | had
        if has.get(bidder_id) != had.get(bidder_id)
    ]


def winner_shares(auction: LockedAuction) -> list[WinnerShare] | None:
    """Return who gets how many units of a sold lot of several, best bid first; None for one unit."""
    if auction.state.status != "sold" or not auction.state.allocations:
        return None
    price = auction.state.price
    return [
        WinnerShare(auction.terms.mask(place.bidder_id), place.units, price)
        for place in auction.state.allocations
    ]
