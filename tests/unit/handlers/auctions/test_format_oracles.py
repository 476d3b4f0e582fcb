"""Every format's rules against its oracle, on random sequences. `ORACLE_RUNS=100000` plays more of them."""

import random
from collections import Counter

import pytest

from handlers.auctions.formats.dutch_rules import next_price_at, price_at, steps_fallen
from handlers.auctions.formats.table import FORMATS
from handlers.auctions.rules import Fall
from tests.support.scales import at_both_scales
from tests.unit.handlers.auctions.worlds import (
    IDS,
    DutchWorld,
    ProxyWorld,
    SealedWorld,
    UnitsWorld,
    terms_of,
)

TIMEOUT_S = 1200


@pytest.mark.timeout(TIMEOUT_S)
@at_both_scales
def test_random_dutch_auctions_agree_with_the_oracle(runs):
    dice, outcomes = random.Random(4), Counter()
    for _ in range(runs):
        start = dice.randrange(2, 3_000)
        fall = Fall(dice.randrange(1, start), dice.randrange(1, 700), dice.choice([1_000, 2_000, 7_000]))
        world = DutchWorld(terms_of("dutch", start, fall=fall, ends_at_ms=dice.randrange(1_000, 60_000)))
        for _ in range(dice.randrange(1, 12)):
            pause_ms = dice.choice([0, 1, 999, 1_000, dice.randrange(12_000)])
            amount = dice.choice([None, *[dice.randrange(1, start + 5)] * 6])
            outcomes[world.move(dice.choice(list(IDS)), amount, after_ms=pause_ms)] += 1
        outcomes[world.end()] += 1
    told = ("won", "bid_too_low", "own_auction", "auction_not_live", "unsold")
    assert min(outcomes[one] for one in told) > runs // 10


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("name", ["sealed_first_price", "sealed_second_price"])
@at_both_scales
def test_random_sealed_auctions_agree_with_the_oracle(name, runs):
    dice, outcomes = random.Random(name), Counter()
    for _ in range(runs):
        start = dice.choice([1, 100, 1_000])
        reserve = dice.choice([None, start, start + 5, start + 50])
        quantity = dice.choice([1, 1, 2, 3, 7])
        world = SealedWorld(terms_of(name, start, reserve_price=reserve, quantity=quantity))
        for _ in range(dice.randrange(14)):
            amount = start + dice.choice([-1, 0, 1, 5, 5, 6, 49, 50, 51, 90])
            outcomes[world.move(dice.choice(list(IDS)), max(1, amount), dice.randint(1, quantity))] += 1
        outcomes[world.end()] += 1
    assert min(outcomes[one] for one in ("sold", "unsold", "own_auction")) > runs // 20


@pytest.mark.timeout(TIMEOUT_S)
@at_both_scales
def test_random_reverse_auctions_agree_with_the_oracle(runs):
    dice, outcomes = random.Random(7), Counter()
    for _ in range(runs):
        start = dice.choice([5, 99, 130, 510, 1_100, 26_000, 101_000])
        reserve = dice.choice([None, None, start, max(1, start - 75), max(1, start // 2)])
        world, level = ProxyWorld(terms_of("reverse", start, reserve_price=reserve)), start
        for _ in range(dice.randrange(1, 16)):
            if dice.random() < 0.07:
                outcomes[world.move(dice.choice("abcde"), None)] += 1
                continue
            level = max(1, level - dice.choice([-3, 0, 0, 1, 5, 5, 25, 25, 50, 51, 100, 250, 2_000]))
            amount = max(1, level - dice.choice([0, 0, 0, 1, 500]))
            outcomes[world.move(dice.choice("abcde"), amount)] += 1
        outcomes[world.end()] += 1
    told = ("leading", "outbid", "bid_too_high", "retracted", "sold", "unsold")
    assert min(outcomes[one] for one in told) > runs // 10


@pytest.mark.timeout(TIMEOUT_S)
@at_both_scales
def test_random_auctions_of_several_units_agree_with_the_oracle(runs):
    dice, outcomes = random.Random(8), Counter()
    for _ in range(runs):
        start, quantity = dice.choice([1, 99, 490, 1_000, 24_990]), dice.choice([2, 2, 3, 5, 8])
        world, level = UnitsWorld(terms_of("english", start, quantity=quantity)), start
        for _ in range(dice.randrange(1, 18)):
            if dice.random() < 0.05:
                outcomes[world.move(dice.choice("abcdef"), None)] += 1
                continue
            level = max(1, level + dice.choice([-3, 0, 0, 1, 25, 50, 51, 100, 250]))
            amount = level + dice.choice([0, 0, 0, 1, 500])
            outcomes[world.move(dice.choice("abcdef"), amount, dice.choice([1, 1, 1, 2, quantity]))] += 1
        outcomes[world.end()] += 1
    told = ("leading", "bid_too_low", "units_reduced", "retracted", "sold")
    assert min(outcomes[one] for one in told) > runs // 10


def test_every_format_is_played_here():
    assert set(FORMATS) == {"english", "reverse", "dutch", "sealed_first_price", "sealed_second_price"}


def test_the_next_fall_is_the_first_instant_with_another_price():
    dice = random.Random(6)
    for _ in range(500):
        start = dice.randrange(2, 50)
        fall = Fall(dice.randrange(1, start), dice.randrange(1, 12), 1_000)
        terms = terms_of("dutch", start, ends_at_ms=dice.randrange(1_500, 20_000), fall=fall)
        at_ms = dice.randrange(-500, terms.ends_at_ms)
        rest = range(at_ms + 1, terms.ends_at_ms)
        expected = next((t for t in rest if price_at(terms, t) != price_at(terms, at_ms)), None)
        assert next_price_at(terms, at_ms) == expected


def test_steps_fallen_counts_every_change_of_price():
    terms = terms_of("dutch", 100, fall=Fall(45, 20, 1_000))
    prices = [price_at(terms, n * 1_000) for n in range(6)]
    assert prices == [100, 80, 60, 45, 45, 45]
    assert [steps_fallen(terms, price) for price in prices] == [0, 1, 2, 3, 3, 3]
