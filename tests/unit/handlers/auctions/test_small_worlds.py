"""Every auction of three bidders, four amounts and up to five steps, in every format: rules and oracle agree on all.

A refused bid changes nothing, so nothing is played after it: what follows is played without it. Bidders differ in
nothing but their names, so the first one to bid is always the same.
"""

from collections import Counter

import pytest

from handlers.auctions.rules import Fall
from tests.unit.handlers.auctions.worlds import DutchWorld, ProxyWorld, SealedWorld, UnitsWorld, terms_of

pytestmark = pytest.mark.slow

BIDDERS = "abc"
STEPS = 5
TAKEN = {"leading", "outbid", "sealed", "won", "retracted"}


def walk(world, moves, steps, told, *, first=True):
    """Make every move at this point of the auction, end it, and go on from each move that was taken."""
    told[world.fork().end()] += 1
    if not steps:
        return
    for move in moves:
        if first and move[0] != BIDDERS[0]:
            continue
        after = world.fork()
        outcome = after.move(*move)
        told[outcome] += 1
        if outcome in TAKEN:
            walk(after, moves, steps - 1, told, first=False)


def every_move(amounts, quantities=(1,)):
    return [(who, amount, n) for who in BIDDERS for amount in amounts for n in quantities]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("reserve", [None, 1_26])
def test_every_small_english_auction(reserve):
    told = Counter()
    world = ProxyWorld(terms_of("english", 1_00, reserve_price=reserve))
    walk(world, every_move([1_00, 1_25, 1_26, 1_75, None]), STEPS, told)
    assert min(told[one] for one in ("leading", "outbid", "bid_too_low", "retracted", "sold", "unsold")) > 100


@pytest.mark.timeout(300)
@pytest.mark.parametrize("reserve", [None, 1_24])
def test_every_small_reverse_auction(reserve):
    told = Counter()
    world = ProxyWorld(terms_of("reverse", 1_50, reserve_price=reserve))
    walk(world, every_move([1_50, 1_25, 1_24, 95, None]), STEPS, told)
    assert (
        min(told[one] for one in ("leading", "outbid", "bid_too_high", "retracted", "sold", "unsold")) > 100
    )


@pytest.mark.timeout(300)
def test_every_small_auction_of_two_units():
    told = Counter()
    world = UnitsWorld(terms_of("english", 1_00, quantity=2))
    walk(world, every_move([1_00, 1_25, 1_26, 1_75], (1, 2)) + every_move([None]), STEPS - 1, told)
    assert (
        min(told[one] for one in ("leading", "bid_too_low", "units_reduced", "retracted", "sold", "unsold"))
        > 100
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["sealed_first_price", "sealed_second_price"])
@pytest.mark.parametrize(("reserve", "quantity"), [(None, 1), (1_02, 1), (1_02, 2)])
def test_every_small_sealed_auction(name, reserve, quantity):
    told = Counter()
    world = SealedWorld(terms_of(name, 1_00, reserve_price=reserve, quantity=quantity))
    quantities = range(1, quantity + 1)
    walk(world, every_move([99, 1_00, 1_02, 1_03], quantities), STEPS - (quantity > 1), told)
    assert min(told[one] for one in ("sealed", "bid_too_low", "sold")) > 100
    assert (told["unsold"] > 1) == (reserve is not None)  # without one only the auction nobody bid in


@pytest.mark.timeout(300)
def test_every_small_dutch_auction():
    told = Counter()
    world = DutchWorld(terms_of("dutch", 1_00, fall=Fall(45, 20, 1_000), ends_at_ms=4_500))
    for waits in range(STEPS):
        later = world.fork()
        later.at_ms = waits * 1_000
        walk(later, every_move([1_00, 80, 45, None]), 2, told)
    assert min(told[one] for one in ("won", "bid_too_low", "auction_not_live", "unsold")) > 1
