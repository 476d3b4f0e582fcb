"""The English rules with the built-in table make of eBay's recorded bids eBay's recorded winner and price.

What differs is named here, with its count: nothing else may differ.
"""

from uuid import UUID

import pytest

from handlers.auctions.rules import (
    AuctionState,
    SaleTerms,
    Steps,
    apply_bid,
    default_steps,
    open_state,
    reserve_met,
)
from protocols.auctions.refusals import BidTooLow
from tests.unit.handlers.auctions.ebay import History, read_histories

HISTORIES = list(read_histories())
SELLER = UUID(int=0)
BUILT_IN = default_steps(2)
AT_A_RESERVE = 16
"""Auctions whose price is above one step over the second bid in the record: as if lifted by a reserve, which eBay tells
nobody; a bid that was taken back is not in the record either."""
CUT_RAISES = 10
"""Raises of the own maximum by a winner: eBay shows both bids as the final price, and a raise has to be higher."""


def who(bidder: str) -> UUID:
    return UUID(int=ord(bidder))


def replay(
    history: History, reserve: int | None = None, steps: Steps = BUILT_IN
) -> tuple[AuctionState, list[tuple[str, int]]]:
    """Play the bids as maxima in their order; return the state and the bids that were refused."""
    terms = SaleTerms(SELLER, history.opening, reserve, None, 0, 10**12, steps, None)
    state, refused = open_state(terms, 0), []
    for bidder, amount in history.bids:
        try:
            state = apply_bid(terms, state, who(bidder), amount, 1)
        except BidTooLow:
            refused.append((bidder, amount))
    assert reserve_met(terms, state)
    return state, refused


def test_the_extract_is_as_large_as_it_says():
    assert (len(HISTORIES), sum(len(history.bids) for history in HISTORIES)) == (109, 1_547)


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.auction)
def test_winner_and_price_are_the_recorded_ones(history):
    state, refused = replay(history)
    assert state.leader_id == who(history.winner)
    assert set(refused) <= {(history.winner, history.price)}, "every bid that eBay took is taken"
    if state.price != history.price:
        state, _ = replay(history, reserve=history.price)
        assert (state.price, state.leader_id) == (history.price, who(history.winner))


def test_what_differs_is_what_is_named():
    results = [(history, *replay(history)) for history in HISTORIES]
    assert sum(state.price != history.price for history, state, _ in results) == AT_A_RESERVE
    assert sum(len(refused) for _, _, refused in results) == CUT_RAISES
    for history, state, _ in results:
        assert state.price <= history.price, "a reserve can only lift a price"


@pytest.mark.parametrize(("times", "by"), [(1, 2), (2, 1)])
def test_another_table_would_be_noticed(times, by):
    """With half or double the steps most histories come out differently, or lose bids: the data tell tables apart."""
    steps = Steps(BUILT_IN.limits, tuple(max(1, step * times // by) for step in BUILT_IN.steps))
    results = [(history, *replay(history, steps=steps)) for history in HISTORIES]
    wrong = [
        h for h, state, refused in results if state.price != h.price or set(refused) - {(h.winner, h.price)}
    ]
    assert len(wrong) > len(HISTORIES) // 2
