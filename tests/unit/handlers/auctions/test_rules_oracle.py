"""The rules against the naive oracle, on random auctions. `ORACLE_RUNS=100000` plays more of them."""

import random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.auctions.rules import (
    SaleTerms,
    StandingBid,
    apply_bid,
    default_steps,
    open_state,
    reserve_met,
    retract,
)
from protocols.auctions.refusals import BidTooLow
from tests.support.scales import at_both_scales
from tests.unit.handlers.auctions.oracle import Oracle

SELLER = UUID(int=99)
BIDDERS = {name: UUID(int=place) for place, name in enumerate("abcde", 1)}
STEPS = default_steps(2)


def play(start: int, reserve: int | None, moves: list[tuple[str, int | None]]) -> None:
    """Play moves on both sides and compare after each; (bidder, None) retracts all bids of the bidder."""
    terms = SaleTerms(SELLER, start, reserve, None, 0, 10**12, STEPS, None)
    state, oracle = open_state(terms, 0), Oracle(start, reserve)
    standing: list[StandingBid] = []
    for bidder, amount in moves:
        before = state
        if amount is None:
            gone = {place for place, bid in enumerate(standing) if bid.bidder_id == BIDDERS[bidder]}
            standing = [bid for place, bid in enumerate(standing) if place not in gone]
            state = retract(terms, state, standing, len(standing))
            oracle.retract(gone)
        else:
            minimum = oracle.minimum(bidder)
            if not oracle.bid(bidder, amount):
                with pytest.raises(BidTooLow) as refused:
                    apply_bid(terms, state, BIDDERS[bidder], amount, 1)
                assert refused.value.facts["minimum_bid"] == minimum
                continue
            state = apply_bid(terms, state, BIDDERS[bidder], amount, 1)
            standing.append(StandingBid(state.event_number, BIDDERS[bidder], amount, 1))
            assert state.price >= before.price
        assert state.event_number == before.event_number + 1
        assert state.price == oracle.price()
        assert state.leader_id == (BIDDERS[oracle.leader()] if oracle.bids else None)
        assert state.minimum_bid == oracle.minimum("nobody")
        assert state.bid_count == len(oracle.bids)
        best = max((maximum for _, maximum in oracle.bids), default=0)
        assert reserve_met(terms, state) == (reserve is None or best >= reserve)
        assert not oracle.bids or state.price <= state.leader_max == best


def random_moves(dice: random.Random, start: int) -> list[tuple[str, int | None]]:
    """Bids near each other, so that ties, partial steps and narrow challenges are common."""
    level, moves = start, []
    for _ in range(dice.randrange(1, 16)):
        bidder = dice.choice("abcde")
        if dice.random() < 0.07:
            moves.append((bidder, None))
            continue
        level = max(1, level + dice.choice([-3, 0, 0, 1, 5, 25, 50, 51, 100, 250, 2_000]))
        moves.append((bidder, level + dice.choice([0, 0, 0, 1, 500])))
    return moves


@pytest.mark.timeout(600)
@at_both_scales
def test_random_auctions_agree_with_the_oracle(runs):
    dice = random.Random(20_261_122)
    for _ in range(runs):
        start = dice.choice([1, 99, 100, 499, 1_000, 24_990, 99_999])
        reserve = dice.choice([None, None, start, start + 75, start + 1_000])
        play(start, reserve, random_moves(dice, start))


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 2_000),
    st.none() | st.integers(0, 3_000),
    st.lists(st.tuples(st.sampled_from("abcde"), st.none() | st.integers(1, 6_000)), max_size=20),
)
def test_any_auction_agrees_with_the_oracle(start, reserve_above, moves):
    play(start, None if reserve_above is None else start + reserve_above, moves)
