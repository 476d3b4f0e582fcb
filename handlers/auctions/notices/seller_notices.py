"""The events that a seller is told of a live auction. Rules: notice_rules.py."""

from typing import Any

from handlers.auctions.locking import LockedAuction
from handlers.auctions.notice_rules import has_first_bid, has_met_reserve, price_reached
from handlers.contract import Event
from protocols.auctions.seller_notices import FirstBidPlaced, PriceReached, ReserveMet
from protocols.topics import personal_channel


def seller_events(auction: LockedAuction) -> list[Event]:
    """Return what the seller is told of all that has happened to a locked auction; nothing when that has ended it.

    Cost: no I/O; a comparison for each price chosen.
    """
    terms, before, state, choice = auction.terms, auction.loaded, auction.state, auction.choice
    if state.status != "live":
        return []
    channel = personal_channel(terms.sale.seller_id)
    facts: dict[str, Any] = {
        "auction_id": terms.auction_id,
        "listing_id": terms.listing_id,
        "title": terms.title,
        "currency": terms.currency,
        "price": state.price,
        "bid_count": state.bid_count,
    }
    events = []
    if choice.first_bid and has_first_bid(before, state):
        events.append(Event(channel, "first_bid_placed", FirstBidPlaced(**facts)))
    if choice.reserve_met and has_met_reserve(terms.sale, before, state):
        events.append(Event(channel, "reserve_met", ReserveMet(**facts)))
    if choice.prices:
        reached = price_reached(terms.sale, choice.prices, before, state)
        if reached is not None:
            events.append(Event(channel, "price_reached", PriceReached(**facts, reached=reached)))
    return events
