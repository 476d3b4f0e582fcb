"""Dutch and sealed rules against their oracles, on random sequences. `ORACLE_RUNS=100000` plays more of them."""

import os
import random
from collections import Counter
from uuid import UUID

import pytest

from handlers.auctions.dutch_rules import accept, next_price_at, price_at, steps_fallen
from handlers.auctions.rules import Fall, Terms, default_steps, open_state
from handlers.auctions.sealed_rules import OpenedBid, count_chunks, open_bids, seal
from protocols.errors import Refusal
from tests.unit.handlers.auctions.format_oracles import DutchOracle, SealedOracle

RUNS = int(os.environ.get("ORACLE_RUNS", "10000"))
IDS = {name: UUID(int=place) for place, name in enumerate(["seller", *"abcdef"], 1)}
STEPS = default_steps(2)


def terms_of(name, start, reserve=None, ends=10**9, fall=None, starts=0):
    return Terms(IDS["seller"], start, reserve, None, starts, ends, STEPS, None, name, fall)


@pytest.mark.timeout(600)
def test_random_dutch_auctions_agree_with_the_oracle():
    dice = random.Random(4)
    outcomes = Counter()
    for _ in range(RUNS):
        start = dice.randrange(2, 3_000)
        fall = Fall(dice.randrange(1, start), dice.randrange(1, 700), dice.choice([1_000, 2_000, 7_000]))
        ends = dice.randrange(1_000, 60_000)
        terms = terms_of("dutch", start, ends=ends, fall=fall)
        oracle = DutchOracle(start, fall.floor_price, fall.step, fall.tick_ms, ends)
        state, at_ms = open_state(terms, 0), 0
        for _ in range(dice.randrange(1, 12)):
            at_ms += dice.choice([0, 1, 999, 1_000, dice.randrange(12_000)])
            who = dice.choice(list(IDS))
            amount = dice.choice([None, *[dice.randrange(1, start + 5)] * 6])
            told = oracle.bid(who, amount, at_ms)
            outcomes[told] += 1
            if told != "won":
                with pytest.raises(Refusal) as refused:
                    accept(terms, state, IDS[who], amount, at_ms)
                assert refused.value.code == told
                if told == "bid_too_low":
                    assert refused.value.facts["minimum_bid"] == oracle.price == price_at(terms, at_ms)
                continue
            after = accept(terms, state, IDS[who], amount, at_ms)
            assert (after.status, after.price, after.leader_id) == ("sold", oracle.price, IDS[who])
            assert (after.event_number, after.bid_count) == (state.event_number + 2, 1)
            state = after
    assert min(outcomes[told] for told in ("won", "bid_too_low", "own_auction", "auction_not_live")) > 1_000


@pytest.mark.timeout(600)
@pytest.mark.parametrize("second_price", [False, True])
def test_random_sealed_auctions_agree_with_the_oracle(second_price):
    dice = random.Random(5 + second_price)
    results = Counter()
    for _ in range(RUNS):
        start = dice.choice([1, 100, 1_000])
        reserve = dice.choice([None, start, start + 5, start + 50])
        terms = terms_of("sealed_second_price" if second_price else "sealed_first_price", start, reserve)
        oracle, state, standing = SealedOracle(start, reserve, second_price), open_state(terms, 0), {}
        for _ in range(dice.randrange(14)):
            who, amount = dice.choice(list(IDS)), start + dice.choice([-1, 0, 1, 5, 5, 6, 49, 50, 51, 90])
            if amount < 1:
                continue
            told = oracle.bid(who, amount)
            if told != "sealed":
                with pytest.raises(Refusal) as refused:
                    seal(terms, state, IDS[who], amount, 1, replaces=who in standing)
                assert refused.value.code == told
                continue
            state = seal(terms, state, IDS[who], amount, 1, replaces=who in standing)
            standing[who] = OpenedBid(state.event_number, IDS[who], amount)
            assert (state.price, state.minimum_bid, state.leader_id) == (start, start, None)
            assert state.bid_count == len(oracle.envelopes)
        bids = list(standing.values())
        dice.shuffle(bids)
        closed = open_bids(terms, state, bids)
        winner, price = oracle.result()
        assert (closed.leader_id, closed.price) == (IDS[winner] if winner else None, price)
        assert closed.status == ("sold" if winner else "unsold")
        assert closed.event_number == state.event_number + count_chunks(len(bids)) + 1
        results[closed.status] += 1
    assert min(results.values()) > RUNS // 20


def test_the_next_fall_is_the_first_instant_with_another_price():
    dice = random.Random(6)
    for _ in range(500):
        start = dice.randrange(2, 50)
        fall = Fall(dice.randrange(1, start), dice.randrange(1, 12), 1_000)
        terms = terms_of("dutch", start, ends=dice.randrange(1_500, 20_000), fall=fall)
        at_ms = dice.randrange(-500, terms.ends_at_ms)
        rest = range(at_ms + 1, terms.ends_at_ms)
        expected = next((t for t in rest if price_at(terms, t) != price_at(terms, at_ms)), None)
        assert next_price_at(terms, at_ms) == expected


def test_steps_fallen_counts_every_change_of_price():
    terms = terms_of("dutch", 100, fall=Fall(45, 20, 1_000))
    prices = [price_at(terms, n * 1_000) for n in range(6)]
    assert prices == [100, 80, 60, 45, 45, 45]
    assert [steps_fallen(terms, price) for price in prices] == [0, 1, 2, 3, 3, 3]
