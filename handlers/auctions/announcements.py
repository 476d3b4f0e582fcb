"""The events and timers of an auction that is over, however it ended."""

from typing import Literal, cast

from msgspec import Struct

from handlers.auctions.allocations import winner_shares, winners
from handlers.auctions.locking import LockedAuction
from handlers.contract import Event, Fact, Outcome, Timer
from protocols.auctions.events import AuctionClosed, AuctionSold, AuctionUnsold, AuctionWon
from protocols.auctions.facts import AuctionSettled, Winner
from protocols.topics import personal_channel


def announce_close(
    auction: LockedAuction,
    now_ms: int,
    *,
    reply: Struct | None = None,
    bought_now: bool = False,
    ended_early: bool = False,
) -> Outcome:
    """Return the outcome of an auction that a command has just ended: to everyone, to the winners and to the seller.

    The command settles its goods, too. The other bidders are notified later, by the timers `queue_losers` and
    `notify_losers`.
    """
    closed = _closed(auction, bought_now=bought_now, ended_early=ended_early)
    events = [closed, *result_events(auction)]
    timers, facts = timers_after(auction, now_ms), [settled_fact(auction)]
    return Outcome(reply, events, [auction.latest()], timers, facts)


def announce_end(auction: LockedAuction, now_ms: int) -> Outcome:
    """Return the outcome of an auction whose end has come: to everyone.

    Many may end in the same millisecond, so stock and personal notices are left to the timer
    `notify_result`.
    """
    timer = Timer("notify_result", auction.terms.auction_id, now_ms)
    return Outcome(None, [_closed(auction)], [auction.latest()], [timer])


def _closed(auction: LockedAuction, *, bought_now: bool = False, ended_early: bool = False) -> Event:
    state = auction.state
    outcome = cast("Literal['sold', 'unsold', 'cancelled']", state.status)
    shares = winner_shares(auction)
    winner = auction.leader if outcome == "sold" and shares is None else None
    closed = AuctionClosed(
        outcome=outcome,
        price=state.price,
        winner=winner,
        bid_count=state.bid_count,
        bought_now=bought_now,
        winners=shares,
        ended_early=ended_early,
    )
    return auction.event("auction_closed", closed)


def result_events(auction: LockedAuction) -> list[Event]:
    """Return the events for the winners and the seller of a closed auction."""
    terms, state = auction.terms, auction.state
    to_seller = personal_channel(terms.sale.seller_id)
    events = []
    for winner_id, units in winners(auction):
        won = AuctionWon(
            auction_id=terms.auction_id,
            title=terms.title,
            listing_id=terms.listing_id,
            price=state.price,
            currency=terms.currency,
            quantity=units,
        )
        sold = AuctionSold(
            auction_id=terms.auction_id,
            title=terms.title,
            listing_id=terms.listing_id,
            buyer_id=winner_id,
            price=state.price,
            currency=terms.currency,
            quantity=units,
        )
        events += [
            Event(personal_channel(winner_id), "auction_won", won),
            Event(to_seller, "auction_sold", sold),
        ]
    if state.status == "unsold":
        unsold = AuctionUnsold(
            auction_id=terms.auction_id,
            title=terms.title,
            currency=terms.currency,
            listing_id=terms.listing_id,
            bid_count=state.bid_count,
        )
        events.append(Event(to_seller, "auction_unsold", unsold))
    return events


def settled_fact(auction: LockedAuction) -> Fact:
    """Return the fact that an auction is over and its goods are settled, for other domains."""
    terms, state = auction.terms, auction.state
    settled = AuctionSettled(
        auction_id=terms.auction_id,
        listing_id=terms.listing_id,
        seller_id=terms.sale.seller_id,
        is_reverse=terms.rules.descending,
        outcome=cast("Literal['sold', 'unsold', 'cancelled']", state.status),
        currency=terms.currency,
        winners=tuple(
            Winner(user_id=user_id, quantity=units, price_minor=state.price)
            for user_id, units in winners(auction)
        ),
    )
    return Fact(terms.channel, settled)


def timers_after(auction: LockedAuction, now_ms: int) -> list[Timer]:
    """Return the timers of what follows a settled auction, if any: other bidders are told, deposits move."""
    auction_id, timers = auction.terms.auction_id, []
    if auction.state.bid_count:
        timers.append(Timer("queue_losers", auction_id, now_ms))
    if auction.terms.sale.deposit is not None:
        timers.append(Timer("settle_deposits", auction_id, now_ms))
    return timers
