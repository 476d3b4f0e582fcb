"""The rules of a reverse auction as pure functions: an English auction upside down, in which bidders ask for less.

The opener asks for something (a carriage, say) and pays the price; a bidder names the least they would do it for, which
stays secret, and the server asks for them as much as it can. The starting price is the ceiling, the reserve the most
the opener pays. Every rule is rules.py's with "above" and "below" exchanged; steps depend on the price in the same
table.
"""

from collections.abc import Iterable
from uuid import UUID

from handlers.auctions.rules import AuctionState, SaleTerms, StandingBid, check_bidder, soft_close
from protocols.auctions.refusals import BidTooHigh


def apply_bid(
    terms: SaleTerms,
    state: AuctionState,
    bidder: UUID,
    amount: int,
    at_ms: int,
    quantity: int = 1,  # noqa: ARG001 - always one unit
) -> AuctionState:
    """Return the auction after a bid with this hidden minimum, received at this instant.

    Raises: AuctionNotLive, OwnAuction, BidTooHigh (carries the bidder's own `maximum_bid`).
    """
    check_bidder(terms, state, bidder, at_ms)
    maximum = state.leader_max - 1 if bidder == state.leader_id else state.minimum_bid
    if amount > maximum:
        detail = (
            f"The most you can ask for now is {maximum}" if maximum else "Nobody can ask for less any more"
        )
        raise BidTooHigh(detail, maximum_bid=maximum)
    price, leader_id, leader_min = _contest(terms, state, bidder, amount)
    ends_at_ms, extensions = soft_close(terms, state, at_ms)
    return AuctionState(
        "live",
        state.event_number + (1 if extensions == state.extensions else 2),
        price,
        _one_step_below(terms, price),
        leader_id,
        leader_min,
        state.bid_count + 1,
        ends_at_ms,
        extensions,
    )


def retract(
    terms: SaleTerms, state: AuctionState, remaining: Iterable[StandingBid], count: int
) -> AuctionState:
    """Return the auction after a retraction that left `count` bids, of which `remaining` decide, in log order."""
    number, ends_at_ms, extensions = state.event_number + 1, state.ends_at_ms, state.extensions
    price, leader_id, leader_min = terms.starting_price, None, 0
    for bid in remaining:
        so_far = AuctionState("live", number, price, 0, leader_id, leader_min, count, ends_at_ms, extensions)
        price, leader_id, leader_min = _contest(terms, so_far, bid.bidder_id, bid.amount)
    maximum = _one_step_below(terms, price) if count else price
    return AuctionState("live", number, price, maximum, leader_id, leader_min, count, ends_at_ms, extensions)


def _contest(terms: SaleTerms, state: AuctionState, bidder: UUID, amount: int) -> tuple[int, UUID, int]:
    """Return price, leader and the leader's minimum after a bid that may be placed."""
    leader_id, leader_min = state.leader_id, state.leader_max
    if leader_id is None:
        price, leader_id, leader_min = terms.starting_price, bidder, amount
    elif bidder == leader_id:  # the own minimum does not move the price
        price, leader_min = state.price, min(amount, leader_min)
    elif amount < leader_min:  # the new leader asks one step less than the loser would
        price = max(amount, leader_min - terms.steps.at(leader_min))
        leader_id, leader_min = bidder, amount
    else:  # a failed challenge; equal minima: the earlier leads at that amount
        price = max(leader_min, amount - terms.steps.at(amount))
    price = min(price, state.price)
    reserve = terms.reserve_price
    if reserve is not None and leader_min <= reserve < price:
        price = reserve
    return price, leader_id, leader_min


def _one_step_below(terms: SaleTerms, price: int) -> int:
    """Return the most a new bidder may ask for at this price; 0 when nobody can ask for less."""
    return max(0, price - terms.steps.at(price))
