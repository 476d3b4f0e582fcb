"""The rules of an ascending auction of several equal units as pure functions: the best bids share them at one price.

A bid is an amount for each unit and a number of units; a bidder has one standing bid, the last. Units go to the best
bids, of equal ones to the earlier, until none are left: the last bid served may get fewer than it asked for. Everybody
pays what the last bid served offers; while units are left over that is the starting price. Amounts above the price stay
secret. Source: eBay's former auctions of several items, in which all winners pay the lowest winning bid.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from handlers.auctions.rules import (
    AuctionState,
    SaleTerms,
    StandingBid,
    UnitAllocation,
    check_bidder,
    one_step_above,
    soft_close,
    too_low,
)
from protocols.auctions.refusals import UnitsReduced
from protocols.values import AMOUNT_MAX


def apply_bid(
    terms: SaleTerms, state: AuctionState, bidder: UUID, amount: int, at_ms: int, quantity: int
) -> AuctionState:
    """Return the auction after a bid of this amount for each of so many units, received at this instant.

    A bidder who has units may only offer more for at least as many, so the price never falls with a bid.
    Raises: AuctionNotLive, OwnAuction, UnitsReduced, BidTooLow (carries the bidder's own `minimum_bid`).
    """
    check_bidder(terms, state, bidder, at_ms)
    own = next((allocation for allocation in state.allocations if allocation.bidder_id == bidder), None)
    if own is not None and quantity < own.quantity:
        raise UnitsReduced(f"You have bid for {own.quantity}; bid for at least as many")
    minimum = state.minimum_bid if own is None else own.amount + 1
    if amount < minimum:
        raise too_low(minimum)
    if state.price == AMOUNT_MAX and _is_full(terms, state.allocations):
        raise too_low(AMOUNT_MAX + 1)
    ends_at_ms, extensions = soft_close(terms, state, at_ms)
    others = [allocation for allocation in state.allocations if allocation.bidder_id != bidder]
    new = UnitAllocation(bidder, amount, quantity, 0, state.event_number + 1)
    return _settle(
        terms,
        allot(sorted([*others, new], key=rank), terms.quantity),
        state.event_number + (1 if extensions == state.extensions else 2),
        state.bid_count + 1,
        (ends_at_ms, extensions),
    )


def retract(
    terms: SaleTerms, state: AuctionState, remaining: Iterable[StandingBid], count: int
) -> AuctionState:
    """Return the auction after a retraction that left `count` bids; `remaining` has the best last bids of bidders."""
    ranking = sorted(
        (UnitAllocation(b.bidder_id, b.amount, b.quantity, 0, b.number) for b in remaining), key=rank
    )
    end = (state.ends_at_ms, state.extensions)
    return _settle(terms, allot(ranking, terms.quantity), state.event_number + 1, count, end)


def rank(allocation: UnitAllocation) -> tuple[int, int]:
    """Return the order in which bids are served: the highest first, of equal ones the earlier."""
    return -allocation.amount, allocation.number


def allot(ranking: Sequence[UnitAllocation], quantity: int) -> tuple[UnitAllocation, ...]:
    """Return the bids that get units, served in this order from so many."""
    served, left = [], quantity
    for bid in ranking:
        if not left:
            break
        units = min(bid.quantity, left)
        served.append(UnitAllocation(bid.bidder_id, bid.amount, bid.quantity, units, bid.number))
        left -= units
    return tuple(served)


def _settle(
    terms: SaleTerms, allocations: tuple[UnitAllocation, ...], number: int, count: int, end: tuple[int, int]
) -> AuctionState:
    """Return the live state with these allocations; `end` is instant and count of extensions."""
    price = minimum = terms.starting_price
    if _is_full(terms, allocations):
        price = allocations[-1].amount
        minimum = one_step_above(terms, price)
    leader_id, leader_max = (allocations[0].bidder_id, allocations[0].amount) if allocations else (None, 0)
    return AuctionState("live", number, price, minimum, leader_id, leader_max, count, *end, allocations)


def _is_full(terms: SaleTerms, allocations: Sequence[UnitAllocation]) -> bool:
    """Return whether every unit has somebody who gets it."""
    return sum(allocation.units for allocation in allocations) == terms.quantity
