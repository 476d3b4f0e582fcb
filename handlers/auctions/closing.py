"""What is said when an auction is over, whichever way it ended."""

from typing import Literal, cast

from msgspec import Struct
from msgspec.structs import replace

from handlers.auctions.lots import Held
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
    """Return the outcome of an auction that has just ended: to everyone, to the winner and to the seller.

    The other bidders are told later, by the timers `queue_losers` and `tell_losers`.
    """
    lot, state = held.lot, held.state
    outcome = cast("Literal['sold', 'unsold', 'cancelled']", state.status)
    winner = state.leader_id if outcome == "sold" else None
    closed = AuctionClosed(outcome, state.price, held.leader if winner else None, state.bid_count, bought_now)
    if ended_early:
        closed = replace(closed, ended_early=True)
    events = [held.event("auction_closed", closed)]
    to_seller = personal_channel(lot.terms.seller_id)
    if winner is not None:
        won = AuctionWon(lot.auction_id, lot.listing_id, state.price, lot.currency)
        sold = AuctionSold(lot.auction_id, lot.listing_id, winner, state.price, lot.currency)
        events += [
            Event(personal_channel(winner), "auction_won", won),
            Event(to_seller, "auction_sold", sold),
        ]
    elif outcome == "unsold":
        unsold = AuctionUnsold(lot.auction_id, lot.listing_id, state.bid_count)
        events.append(Event(to_seller, "auction_unsold", unsold))
    timers = [Timer("queue_losers", lot.auction_id, now_ms)] if state.bid_count else []
    return Outcome(reply, events, [held.latest()], timers)
