"""What raises a signal and how loud, by table at every edge; and that plain honest conduct raises none."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.auctions.signals.rules import DAY_MS, HOUR_MS, Conduct, count_public, find_signals

END = 100 * DAY_MS
QUIET = Conduct(auctions=1, auctions_here=1, bids_here=1, wins_here=0)


def raised(conduct=QUIET, retracted=(), price=100, shared=0):
    return {f.kind: f.score for f in find_signals(conduct, retracted, price, END, shared)}


@pytest.mark.parametrize(
    ("retracted", "score"),
    [
        ([], None),
        ([(200, END - 1)], 50),
        ([(199, END - 1)], None),
        ([(200, END - DAY_MS)], 50),
        ([(200, END - DAY_MS - 1)], None),
        ([(400, END - HOUR_MS)], 70),
        ([(100_000, END - HOUR_MS)], 100),
        ([(150, END - 1), (300, END - 2 * DAY_MS)], None),
        ([(150, END - 1), (300, END - HOUR_MS)], 60),
    ],
)
def test_shielding_is_a_huge_bid_taken_back_late(retracted, score):
    assert raised(retracted=retracted).get("shielding") == score


@pytest.mark.parametrize(
    ("conduct", "score"),
    [
        (Conduct(5, 5, 15, 0), 40),
        (Conduct(4, 4, 15, 0), None),
        (Conduct(5, 5, 14, 0), None),
        (Conduct(5, 5, 15, 1), None),
        (Conduct(6, 5, 15, 0), 40),
        (Conduct(7, 5, 15, 0), None),
        (Conduct(10, 10, 30, 0), 55),
        (Conduct(90, 90, 300, 0), 100),
    ],
)
def test_one_seller_is_many_bids_in_one_sellers_auctions_without_a_win(conduct, score):
    assert raised(conduct).get("one_seller") == score


@pytest.mark.parametrize(
    ("conduct", "score"),
    [
        (Conduct(25, 10, 40, 0), 40),
        (Conduct(26, 10, 40, 0), None),
        (Conduct(10, 9, 40, 0), None),
        (Conduct(25, 10, 39, 0), None),
        (Conduct(25, 10, 40, 1), None),
        (Conduct(25, 10, 90, 0), 90),
        (Conduct(25, 10, 900, 0), 100),
    ],
)
def test_never_wins_is_a_lot_of_bids_for_one_seller_and_no_win(conduct, score):
    assert raised(conduct).get("never_wins") == score


@pytest.mark.parametrize(("shared", "score"), [(0, None), (1, 70), (2, 80), (9, 100)])
def test_a_shared_address_is_told(shared, score):
    assert raised(shared=shared).get("shared_address") == score


@pytest.mark.parametrize(
    ("addresses", "count"),
    [
        ((), 0),
        (("127.0.0.1", "10.1.2.3", "192.168.1.1", "::1", "fe80::1", "", "elsewhere"), 0),
        (("8.8.8.8", "2606:4700::1111"), 2),
    ],
)
def test_addresses_that_many_share_tell_nothing(addresses, count):
    assert count_public(addresses) == count


def test_evidence_is_the_numbers_that_made_the_signal():
    (finding,) = find_signals(QUIET, [(500, END - 1), (120, END - 2)], 100, END, 0)
    assert finding.evidence == {"highest_retracted": 500, "price": 100, "retracted_late": 2}
    (finding,) = find_signals(Conduct(6, 6, 20, 0), (), 100, END, 0)
    assert finding.evidence == {
        "auctions_of_seller": 6,
        "bids_with_seller": 20,
        "wins_with_seller": 0,
        "share_percent": 100,
    }


@settings(max_examples=500, deadline=None)
@given(
    st.integers(0, 200),
    st.integers(0, 50),
    st.integers(0, 30),
    st.lists(st.tuples(st.integers(1, 10_000), st.integers(0, END - DAY_MS - 1)), max_size=5),
    st.integers(1, 10_000),
)
def test_spread_or_winning_bidders_with_early_retractions_raise_nothing(
    elsewhere, here, wins, retracted, price
):
    """Honest: most auctions are other sellers', or some were won; mistakes were taken back in time."""
    spread = Conduct(elsewhere + 2 * here + here, here, 10 * here, 0)
    winning = Conduct(elsewhere + here, here, 10 * here, 1 + wins)
    for conduct in (spread, winning):
        assert find_signals(conduct, retracted, price, END, 0) == []


def test_a_market_of_honest_bidders_raises_nothing():
    """Two hundred bidders with values of their own bid up to them, in auctions of twenty sellers."""
    dice = random.Random(7)
    for _ in range(20):
        conducts: dict[tuple[int, int], list[int]] = {}
        for _ in range(300):
            seller = dice.randrange(20)
            bidders = dice.sample(range(200), dice.randrange(1, 12))
            winner = max(bidders, key=lambda _: dice.random())
            for bidder in bidders:
                entry = conducts.setdefault((bidder, seller), [0, 0, 0])
                entry[0] += 1
                entry[1] += dice.randrange(1, 8)
                entry[2] += bidder == winner
        totals: dict[int, int] = {}
        for (bidder, _), entry in conducts.items():
            totals[bidder] = totals.get(bidder, 0) + entry[0]
        for (bidder, _), (auctions, bids, wins) in conducts.items():
            assert find_signals(Conduct(totals[bidder], auctions, bids, wins), (), 100, END, 0) == []
