"""The rules of sealed auctions as pure functions: bids are kept closed, all are opened at the end, the highest wins.

First price: the winner pays the own bid. Second price: the winner pays the second highest bid, at least the reserve
(the starting price where there is none). Of equal bids the one that was committed to first wins; a bidder's latest bid
is the one that counts, with its own place in that order. Source: FEATURES section 3, rule 6.
"""

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from handlers.auctions.rules import AuctionState, Terms
from protocols.auctions import AuctionNotLive, BidTooLow, OwnAuction

OPENINGS_CHUNK = 200
"""Bids opened by one event: about 40 KB of JSON."""


class OpenedBid(Struct, frozen=True, gc=False):
    """A standing bid after the end; `number` is that of its public commitment."""

    number: int
    bidder_id: UUID
    amount: int


def seal(
    terms: Terms, state: AuctionState, bidder: UUID, amount: int, at_ms: int, *, replaces: bool
) -> AuctionState:
    """Return the auction after a closed bid: nothing changes but the count.

    Raises: AuctionNotLive, OwnAuction, BidTooLow.
    """
    if state.status != "live" or at_ms >= state.ends_at_ms:
        raise AuctionNotLive
    if bidder == terms.seller_id:
        raise OwnAuction
    if amount < terms.starting_price:
        raise BidTooLow(f"The least you can bid is {terms.starting_price}", minimum_bid=terms.starting_price)
    count = state.bid_count if replaces else state.bid_count + 1
    return replace(state, event_number=state.event_number + 1, bid_count=count)


def open_bids(terms: Terms, state: AuctionState, bids: Sequence[OpenedBid]) -> AuctionState:
    """Return the closed auction: sold to the highest of the standing bids, or unsold below the reserve.

    Takes one number for every chunk of opened bids, then one for the close.
    """
    number = state.event_number + count_chunks(len(bids)) + 1
    ranking = sorted(bids, key=lambda bid: (-bid.amount, bid.number))
    least = terms.starting_price if terms.reserve_price is None else terms.reserve_price
    if not ranking or ranking[0].amount < least:
        return replace(state, status="unsold", event_number=number)
    best = ranking[0]
    second = ranking[1].amount if len(ranking) > 1 else 0
    price = best.amount if terms.format == "sealed_first_price" else max(second, least)
    return replace(
        state,
        status="sold",
        event_number=number,
        price=price,
        minimum_bid=price,
        leader_id=best.bidder_id,
        leader_max=best.amount,
    )


def count_chunks(count: int) -> int:
    """Return how many events open this many bids."""
    return -(-count // OPENINGS_CHUNK)
