"""How the units of a lot of several are told: who holds how many, and what a change changed."""

from handlers.auctions.locking import Held
from handlers.auctions.rules import AuctionState
from protocols.auctions.events import UnitsHeld, WinnerShare


def changes_of(held: Held, before: AuctionState) -> list[UnitsHeld]:
    """Return every bidder whose units are not what they were, by place, those who have none any more last."""
    had = {place.bidder_id: place.units for place in before.places}
    has = {place.bidder_id: place.units for place in held.state.places}
    return [
        UnitsHeld(held.lot.mask(bidder_id), has.get(bidder_id, 0))
        for bidder_id in has | had
        if has.get(bidder_id) != had.get(bidder_id)
    ]


def shares_of(held: Held) -> list[WinnerShare] | None:
    """Return who gets how many units of a sold lot of several, best bid first; None for one unit."""
    if held.state.status != "sold" or not held.state.places:
        return None
    price = held.state.price
    return [WinnerShare(held.lot.mask(place.bidder_id), place.units, price) for place in held.state.places]
