"""What is said when an auction is over, whichever way it ended."""

from typing import Literal, cast

from msgspec import Struct

from handlers.auctions.lots import Held
from handlers.contract import Event, Outcome, Timer
from protocols.auctions import AuctionClosed, AuctionSold, AuctionUnsold, AuctionWon
from protocols.topics import personal_channel


def announce_close(
    held: Held, now_ms: int, *, reply: Struct | None = None, bought_now: bool = False
) -> Outcome:
    """Return the outcome of an auction that a command has just ended: to everyone, to the winner and to the seller.

    The other bidders are told later, by the timers `queue_losers` and `tell_losers`.
    """
    events = [_closed(held, bought_now=bought_now), *notices_of_result(held)]
    return Outcome(reply, events, [held.latest()], timers_for_losers(held, now_ms))


def announce_end(held: Held, now_ms: int) -> Outcome:
    """Return the outcome of an auction whose end has come: to everyone.

    Many may end in the same millisecond, so all others are told right after that, by the timer `tell_result`.
    """
    timer = Timer("tell_result", held.lot.auction_id, now_ms)
    return Outcome(None, [_closed(held)], [held.latest()], [timer])


def _closed(held: Held, *, bought_now: bool = False) -> Event:
    state = held.state
    outcome = cast("Literal['sold', 'unsold', 'cancelled']", state.status)
    winner = held.leader if outcome == "sold" else None
    closed = AuctionClosed(outcome, state.price, winner, state.bid_count, bought_now)
    return held.event("auction_closed", closed)


def notices_of_result(held: Held) -> list[Event]:
    """Return what the winner and the seller of a closed auction are told."""
    lot, state = held.lot, held.state
    to_seller = personal_channel(lot.terms.seller_id)
    if state.status == "sold" and state.leader_id is not None:
        won = AuctionWon(lot.auction_id, lot.listing_id, state.price, lot.currency)
        sold = AuctionSold(lot.auction_id, lot.listing_id, state.leader_id, state.price, lot.currency)
        return [
            Event(personal_channel(state.leader_id), "auction_won", won),
            Event(to_seller, "auction_sold", sold),
        ]
    if state.status == "unsold":
        return [
            Event(to_seller, "auction_unsold", AuctionUnsold(lot.auction_id, lot.listing_id, state.bid_count))
        ]
    return []


def timers_for_losers(held: Held, now_ms: int) -> list[Timer]:
    """Return the timer that looks for the bidders who did not get a closed auction, if there can be any."""
    return [Timer("queue_losers", held.lot.auction_id, now_ms)] if held.state.bid_count else []
