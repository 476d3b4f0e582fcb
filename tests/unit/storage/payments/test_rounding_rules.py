"""Amounts are divided exactly: nothing is made or lost, and nobody gets a unit more than the exact share."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.payments.rounding_rules import allocate, divide, percentage

AMOUNTS = st.integers(0, 9_007_199_254_740_991)
WEIGHTS = st.lists(st.integers(0, 10**15), min_size=1, max_size=12).filter(any)


@pytest.mark.parametrize(
    ("numerator", "half_even", "half_up", "down", "up"),
    [
        (0, 0, 0, 0, 0),
        (10, 1, 1, 1, 1),
        (12, 1, 1, 1, 2),
        (15, 2, 2, 1, 2),
        (16, 2, 2, 1, 2),
        (25, 2, 3, 2, 3),
        (35, 4, 4, 3, 4),
    ],
)
def test_each_way_to_round(numerator, half_even, half_up, down, up):
    assert divide(numerator, 10, "half_even") == half_even
    assert divide(numerator, 10, "half_up") == half_up
    assert divide(numerator, 10, "down") == down
    assert divide(numerator, 10, "up") == up


@pytest.mark.parametrize(
    ("amount", "basis_points", "operation", "part"),
    [
        (1_250, 1_000, "commission", 125),
        (125, 1_000, "commission", 12),
        (135, 1_000, "commission", 14),
        (125, 1_000, "fee_tax", 13),
        (50, 1_900, "fee_tax", 10),
        (1, 10_000, "commission", 1),
        (9_007_199_254_740_991, 9_999, "fee_bound", 9_006_298_534_815_516),
    ],
)
def test_percentages_round_as_their_operation_does(amount, basis_points, operation, part):
    assert percentage(amount, basis_points, operation) == part


@pytest.mark.parametrize(
    ("amount", "weights", "parts"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (101, [1, 1, 1], [34, 34, 33]),
        (2, [1, 3], [0, 2]),
        (2, [3, 1], [2, 0]),
        (5, [70, 20, 10], [4, 1, 0]),
        (5, [60, 25, 15], [3, 1, 1]),
        (0, [1, 2], [0, 0]),
        (7, [0, 1, 0], [0, 7, 0]),
        (1, [1, 1, 0], [1, 0, 0]),
    ],
)
def test_remainders_go_to_the_largest_fraction_then_the_larger_weight_then_the_earlier(
    amount, weights, parts
):
    assert allocate(amount, weights) == parts


@given(AMOUNTS, WEIGHTS)
def test_the_sum_is_kept_and_no_part_is_a_unit_off(amount, weights):
    parts = allocate(amount, weights)
    assert sum(parts) == amount
    total = sum(weights)
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(amount * weight, total)) < 1
        assert weight or not part


@given(AMOUNTS, WEIGHTS, st.randoms(use_true_random=False))
def test_only_between_equal_weights_does_the_order_decide(amount, weights, random):
    places = list(range(len(weights)))
    random.shuffle(places)
    shuffled = [weights[place] for place in places]

    def by_weight(parts, weights):
        return sorted(zip(weights, parts, strict=True))

    assert by_weight(allocate(amount, shuffled), shuffled) == by_weight(allocate(amount, weights), weights)


@given(AMOUNTS, st.integers(1, 10**15), st.integers(1, 20))
def test_equal_weights_get_parts_that_differ_by_one_the_earlier_the_more(amount, weight, count):
    parts = allocate(amount, [weight] * count)
    assert parts == sorted(parts, reverse=True)
    assert parts[0] - parts[-1] <= 1


@pytest.mark.parametrize(("amount", "weights"), [(-1, [1]), (1, [-1, 2]), (1, [0, 0]), (1, [])])
def test_what_nobody_may_ask_for(amount, weights):
    with pytest.raises(AssertionError):
        allocate(amount, weights)
