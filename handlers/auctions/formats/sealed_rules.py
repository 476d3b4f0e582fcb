"""The rules of sealed auctions as pure functions: bids are kept closed, all are opened at the end, the highest win.

First price: the winners pay the lowest winning bid, a single winner the own. Second price: they pay the highest bid
that got nothing, at least the reserve (the starting price where there is none). Of equal bids the one that was
committed to first wins; a bidder's latest bid counts, with its own position in that order; bids below the
reserve do not count.
"""

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from handlers.auctions.formats.units_rules import allot, rank
from handlers.auctions.rules import AuctionState, SaleTerms, UnitAllocation, check_bidder
from protocols.auctions.refusals import BidTooLow

OPENINGS_CHUNK = 200
"""Bids opened by one event: about 40 KB of JSON."""


class OpenedBid(Struct, frozen=True, gc=False):
    """A standing bid after the end; `number` is that of its public commitment."""

    number: int
    bidder_id: UUID
    amount: int
    quantity: int = 1


def seal(
    terms: SaleTerms, state: AuctionState, bidder: UUID, amount: int, at_ms: int, *, replaces: bool
) -> AuctionState:
    """Return the auction after a closed bid: nothing changes but the count.

    Raises: AuctionNotLive, OwnAuction, BidTooLow.
    """
    check_bidder(terms, state, bidder, at_ms)
    if amount < terms.starting_price:
        raise BidTooLow(f"The least you can bid is {terms.starting_price}", minimum_bid=terms.starting_price)
    count = state.bid_count if replaces else state.bid_count + 1
    return replace(state, event_number=state.event_number + 1, bid_count=count)


def open_bids(terms: SaleTerms, state: AuctionState, bids: Sequence[OpenedBid]) -> AuctionState:
    """Return the closed auction: sold to the highest of the standing bids, or unsold below the reserve.

    Takes one number for every chunk of opened bids, then one for the close.
    """
    number = state.event_number + count_chunks(len(bids)) + 1
    least = terms.starting_price if terms.reserve_price is None else terms.reserve_price
    good = [UnitAllocation(b.bidder_id, b.amount, b.quantity, 0, b.number) for b in bids if b.amount >= least]
    ranking = sorted(good, key=rank)
    allocations = allot(ranking, terms.quantity)
    if not allocations:
        return replace(state, status="unsold", event_number=number)
    last = allocations[-1]
    short = last.units < last.quantity  # then the best unit that nobody gets is one of its own
    if terms.format == "sealed_first_price" or short:
        price = last.amount
    else:
        price = ranking[len(allocations)].amount if len(allocations) < len(ranking) else least
    return replace(
        state,
        status="sold",
        event_number=number,
        price=price,
        minimum_bid=price,
        leader_id=allocations[0].bidder_id,
        leader_max=allocations[0].amount,
        allocations=allocations if terms.quantity > 1 else (),
    )


def count_chunks(count: int) -> int:
    """Return how many events open this many bids."""
    return -(-count // OPENINGS_CHUNK)
