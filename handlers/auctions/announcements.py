"""What is said when an auction is over, whichever way it ended."""

from typing import Literal, cast
from uuid import UUID

from msgspec import Struct

from handlers.auctions.locking import Held
from handlers.auctions.units import shares_of
from handlers.contract import Event, Fact, Outcome, Timer
from protocols.auctions.events import AuctionClosed, AuctionSold, AuctionUnsold, AuctionWon
from protocols.auctions.facts import AuctionSettled, Winner
from protocols.topics import personal_channel


def announce_close(
    held: Held,
    now_ms: int,
    *,
    reply: Struct | None = None,
    bought_now: bool = False,
    ended_early: bool = False,
) -> Outcome:
    """Return the outcome of an auction that a command has just ended: to everyone, to the winners and to the seller.

    The command settles its goods, too.

    The other bidders are told later, by the timers `queue_losers` and `tell_losers`.
    """
    closed = _closed(held, bought_now=bought_now, ended_early=ended_early)
    events = [closed, *notices_of_result(held)]
    timers, facts = timers_for_losers(held, now_ms), [settled_fact(held)]
    return Outcome(reply, events, [held.latest()], timers, facts)


def announce_end(held: Held, now_ms: int) -> Outcome:
    """Return the outcome of an auction whose end has come: to everyone.

    Many may end in the same millisecond, so their goods are settled and all others told right after that, by the timer
    `tell_result`.
    """
    timer = Timer("tell_result", held.lot.auction_id, now_ms)
    return Outcome(None, [_closed(held)], [held.latest()], [timer])


def _closed(held: Held, *, bought_now: bool = False, ended_early: bool = False) -> Event:
    state = held.state
    outcome = cast("Literal['sold', 'unsold', 'cancelled']", state.status)
    shares = shares_of(held)
    winner = held.leader if outcome == "sold" and shares is None else None
    closed = AuctionClosed(outcome, state.price, winner, state.bid_count, bought_now, shares, ended_early)
    return held.event("auction_closed", closed)


def notices_of_result(held: Held) -> list[Event]:
    """Return what the winners and the seller of a closed auction are told."""
    lot, state = held.lot, held.state
    to_seller = personal_channel(lot.terms.seller_id)
    events = []
    for winner_id, units in _winners(held):
        won = AuctionWon(lot.auction_id, lot.listing_id, state.price, lot.currency, units)
        sold = AuctionSold(lot.auction_id, lot.listing_id, winner_id, state.price, lot.currency, units)
        events += [
            Event(personal_channel(winner_id), "auction_won", won),
            Event(to_seller, "auction_sold", sold),
        ]
    if state.status == "unsold":
        unsold = AuctionUnsold(lot.auction_id, lot.listing_id, state.bid_count)
        events.append(Event(to_seller, "auction_unsold", unsold))
    return events


def settled_fact(held: Held) -> Fact:
    """Return the fact that an auction is over and its goods are settled, for other domains."""
    lot, state = held.lot, held.state
    settled = AuctionSettled(
        auction_id=lot.auction_id,
        listing_id=lot.listing_id,
        seller_id=lot.terms.seller_id,
        is_reverse=lot.rules.descending,
        outcome=cast("Literal['sold', 'unsold', 'cancelled']", state.status),
        currency=lot.currency,
        winners=tuple(
            Winner(user_id=user_id, quantity=units, price_minor=state.price)
            for user_id, units in _winners(held)
        ),
    )
    return Fact(lot.channel, settled)


def timers_for_losers(held: Held, now_ms: int) -> list[Timer]:
    """Return the timer that looks for the bidders who did not get a closed auction, if there can be any."""
    return [Timer("queue_losers", held.lot.auction_id, now_ms)] if held.state.bid_count else []


def _winners(held: Held) -> list[tuple[UUID, int]]:
    """Return who gets how many units."""
    state = held.state
    if state.status != "sold" or state.leader_id is None:
        return []
    return [(place.bidder_id, place.units) for place in state.places] or [(state.leader_id, 1)]
