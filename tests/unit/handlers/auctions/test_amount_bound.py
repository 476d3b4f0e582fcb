"""No amount that the rules derive passes the largest one, and up to it somebody can always bid more."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.auctions.formats import units_rules
from handlers.auctions.formats.table import rules_of
from handlers.auctions.rules import (
    SaleTerms,
    StandingBid,
    Steps,
    apply_bid,
    buy_now,
    buy_now_price,
    default_steps,
    open_state,
    retract,
)
from protocols.auctions.refusals import BidTooHigh, BidTooLow, UnitsReduced
from protocols.values import AMOUNT_MAX

SELLER, ANN, BOB, CAT = (UUID(int=n) for n in range(1, 5))
END = 1_000_000_000

NEAR = st.integers(0, 300).map(lambda below: AMOUNT_MAX - below)
STEPS = st.sampled_from([1, 5, 100_00, AMOUNT_MAX]).map(lambda step: Steps((), (step,))) | st.just(
    default_steps(2)
)
BIDS = st.lists(st.tuples(st.sampled_from([ANN, BOB, CAT]), NEAR, st.integers(1, 3)), max_size=8)


def amounts_of(state):
    places = [place.amount for place in state.allocations]
    return [state.price, state.minimum_bid, state.leader_max, *places]


@given(st.sampled_from([("english", 1), ("english", 3), ("reverse", 1)]), NEAR, STEPS, BIDS, st.none() | NEAR)
def test_no_derived_amount_passes_the_bound(lot, start, steps, bids, reserve):
    name, units = lot
    terms = SaleTerms(SELLER, start, reserve, None, 0, END, steps, None, name, quantity=units)
    rules, state, standing, told = rules_of(name, units), open_state(terms, 0), [], []
    for bidder, amount, quantity in bids:
        try:
            state = rules.apply_bid(terms, state, bidder, amount, 1, quantity)
        except (BidTooLow, BidTooHigh, UnitsReduced) as refusal:
            told += refusal.facts.values()
        else:
            standing.append(StandingBid(state.event_number, bidder, amount, 1, quantity))
        told += amounts_of(state)
    last = {bid.bidder_id: bid for bid in standing} if units > 1 else dict(enumerate(standing))
    left = rules.retract(terms, state, list(last.values())[1:], len(standing) - 1) if standing else state
    assert all(0 <= amount <= AMOUNT_MAX for amount in [*told, *amounts_of(left)])


@given(NEAR, STEPS, BIDS, st.sampled_from([1, 3]))
def test_whoever_offers_the_largest_amount_first_leads(start, steps, bids, units):
    terms = SaleTerms(SELLER, start, None, None, 0, END, steps, None, quantity=units)
    state = open_state(terms, 0)
    judge = apply_bid if units == 1 else units_rules.apply_bid
    for bidder, amount, quantity in bids:
        try:
            state = judge(terms, state, bidder, amount, 1, quantity)
        except (BidTooLow, UnitsReduced):
            continue
    if state.leader_max < AMOUNT_MAX:
        stranger = UUID(int=9)
        assert judge(terms, state, stranger, AMOUNT_MAX, 1, units).leader_id == stranger


@pytest.mark.parametrize("bidder", [ANN, BOB, CAT])
@pytest.mark.parametrize("units", [1, 2])
def test_a_bid_that_cannot_be_topped_takes_no_other(units, bidder):
    terms = SaleTerms(SELLER, AMOUNT_MAX - 10, None, None, 0, END, default_steps(2), None, quantity=units)
    judge = apply_bid if units == 1 else units_rules.apply_bid
    state = judge(terms, open_state(terms, 0), ANN, AMOUNT_MAX, 1, 1)
    state = judge(terms, state, BOB, AMOUNT_MAX, 1, 1)
    assert (state.price, state.minimum_bid, state.leader_id) == (AMOUNT_MAX, AMOUNT_MAX, ANN)
    with pytest.raises(BidTooLow) as refused:
        judge(terms, state, bidder, AMOUNT_MAX, 1, 1)
    assert refused.value.facts == {"minimum_bid": AMOUNT_MAX}


def test_a_lot_with_units_left_takes_bids_at_the_largest_amount():
    terms = SaleTerms(SELLER, AMOUNT_MAX, None, None, 0, END, default_steps(2), None, quantity=2)
    state = units_rules.apply_bid(terms, open_state(terms, 0), ANN, AMOUNT_MAX, 1, 1)
    state = units_rules.apply_bid(terms, state, BOB, AMOUNT_MAX, 1, 1)
    assert [place.units for place in state.allocations] == [1, 1]


def test_a_purchase_at_the_largest_amount_and_what_a_retraction_leaves_stay_within_it():
    terms = SaleTerms(SELLER, 10_00, None, AMOUNT_MAX, 0, END, default_steps(2), None)
    state = open_state(terms, 0)
    assert buy_now_price(terms, state) == AMOUNT_MAX
    assert buy_now(terms, state, ANN, 1).minimum_bid == AMOUNT_MAX
    bids = [StandingBid(2, ANN, AMOUNT_MAX, 1), StandingBid(3, BOB, AMOUNT_MAX - 5, 1)]
    assert retract(terms, state, bids, 2).minimum_bid == AMOUNT_MAX
