"""What is said when an auction is over, whichever way it ended."""

from typing import Literal, cast
from uuid import UUID

from msgspec import Struct

from handlers.auctions.lots import Held
from handlers.auctions.units import shares_of
from handlers.contract import Event, Outcome, Timer
from protocols.auctions import AuctionClosed, AuctionSold, AuctionUnsold, AuctionWon
from protocols.topics import personal_channel


def announce_close(
    held: Held,
    now_ms: int,
    *,
    reply: Struct | None = None,
    bought_now: bool = False,
    ended_early: bool = False,
) -> Outcome:
    """Return the outcome of an auction that has just ended: to everyone, to the winners and to the seller.

    The other bidders are told later, by the timers `queue_losers` and `tell_losers`.
    """
    lot, state = held.lot, held.state
    outcome = cast("Literal['sold', 'unsold', 'cancelled']", state.status)
    winners = _winners(held)
    shares = shares_of(held)
    winner = held.leader if winners and shares is None else None
    closed = AuctionClosed(outcome, state.price, winner, state.bid_count, bought_now, shares, ended_early)
    events = [held.event("auction_closed", closed)]
    to_seller = personal_channel(lot.terms.seller_id)
    for winner_id, units in winners:
        won = AuctionWon(lot.auction_id, lot.listing_id, state.price, lot.currency, units)
        sold = AuctionSold(lot.auction_id, lot.listing_id, winner_id, state.price, lot.currency, units)
        events += [
            Event(personal_channel(winner_id), "auction_won", won),
            Event(to_seller, "auction_sold", sold),
        ]
    if outcome == "unsold":
        unsold = AuctionUnsold(lot.auction_id, lot.listing_id, state.bid_count)
        events.append(Event(to_seller, "auction_unsold", unsold))
    timers = [Timer("queue_losers", lot.auction_id, now_ms)] if state.bid_count else []
    return Outcome(reply, events, [held.latest()], timers)


def _winners(held: Held) -> list[tuple[UUID, int]]:
    """Return who gets how many units."""
    state = held.state
    if state.status != "sold" or state.leader_id is None:
        return []
    return [(place.bidder_id, place.units) for place in state.places] or [(state.leader_id, 1)]
