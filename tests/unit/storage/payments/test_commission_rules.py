"""Which rule applies to which line, and what is kept: by tables, and whatever the rules say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.payments.commission import CommissionAmounts, CommissionRule, FeeTax
from protocols.payments.deals import Deal, DealLine, Quote
from storage.payments.commission_rules import quote_deal

GERMANY = FeeTax(country="DE", basis_points=1_900)


def amounts(currency="EUR", **fields) -> CommissionAmounts:
    return CommissionAmounts(currency=currency, **fields)


def rule(basis_points=0, *known: CommissionAmounts, **lists) -> CommissionRule:
    return CommissionRule(basis_points=basis_points, amounts=list(known), **lists)


def quote(rules, *lines, taxes=(), **deal) -> Quote:
    lines = tuple(
        line if isinstance(line, DealLine) else DealLine(amount_minor=line, categories=("bags", "fashion"))
        for line in lines
    )
    return quote_deal(7, rules, taxes, Deal(**{"kind": "auction", "currency": "EUR", "lines": lines} | deal))


EVERYTHING = rule(100)


@pytest.mark.parametrize(
    ("rules", "applied"),
    [
        ([], None),
        ([rule(categories=["cars"])], None),
        ([EVERYTHING], 0),
        ([EVERYTHING, rule(categories=["bags"])], 1),
        ([rule(categories=["cars", "fashion"]), EVERYTHING], 0),
        ([rule(currencies=["USD"]), rule(kinds=["sale"]), rule(seller_levels=["new"])], None),
        ([rule(categories=["bags"]), rule(kinds=["auction"])], 0),
        ([rule(categories=["bags"]), rule(kinds=["auction"], currencies=["EUR"])], 1),
        ([rule(categories=["bags"], kinds=["sale"], currencies=["EUR"]), rule(kinds=["auction"])], 1),
        ([rule(kinds=["auction"]), rule(kinds=["auction"])], 0),
        ([rule(seller_levels=["new", "trusted"])], 0),
    ],
)
def test_the_rule_that_fits_with_the_most_lists_applies_of_equal_ones_the_oldest(rules, applied):
    (line,) = quote(rules, 1_000, seller_level="trusted").lines
    assert line.rule == applied
    assert applied is not None or line.fee_minor == 0


def test_shipping_knows_the_rule_for_everything_alone():
    way = DealLine(amount_minor=2_000, shipping=True)
    special = rule(5_000, kinds=["auction"])
    assert [line.fee_minor for line in quote([special, EVERYTHING], way, 2_000).lines] == [20, 1_000]
    assert quote([special], way).fee_minor == 0


@pytest.mark.parametrize(
    ("given_rule", "amount", "parts"),
    [
        (rule(750), 1_250, (94, 0, 0, 94)),
        (rule(1_000), 125, (12, 0, 0, 12)),
        (rule(1_000), 135, (14, 0, 0, 14)),
        (rule(750, amounts(fixed=30)), 1_250, (94, 30, 0, 124)),
        (rule(750, amounts("USD", fixed=30)), 1_250, (94, 0, 0, 94)),
        (rule(100, amounts(minimum=50)), 1_000, (10, 0, 40, 50)),
        (rule(1_000, amounts(maximum=50)), 1_000, (100, 0, -50, 50)),
        (rule(0, amounts(minimum=50)), 20, (0, 0, 20, 20)),
        (rule(10_000, amounts(fixed=1)), 20, (20, 1, -1, 20)),
    ],
)
def test_a_fee_is_its_parts(given_rule, amount, parts):
    (line,) = quote([given_rule], amount).lines
    assert (line.percent_minor, line.fixed_minor, line.bound_minor, line.fee_minor) == parts


def test_tax_on_the_fee_is_a_part_of_its_own_by_country():
    found = quote([rule(1_000)], 1_250, taxes=[GERMANY], country="DE")
    assert (found.fee_minor, found.tax_minor, found.net_minor) == (125, 24, 1_101)
    assert (found.version, found.tax_basis_points) == (7, 1_900)
    assert quote([rule(1_000)], 1_250, taxes=[GERMANY], country="FR").tax_minor == 0
    assert quote([rule(1_000)], 1_250, taxes=[GERMANY]).tax_minor == 0


def test_a_fee_and_its_tax_never_take_more_than_the_line():
    (line,) = quote([rule(10_000)], 1_000, taxes=[GERMANY], country="DE").lines
    assert (line.fee_minor, line.tax_minor, line.bound_minor) == (840, 160, -160)


def test_a_cap_is_shared_by_the_lines_of_its_rule_in_proportion():
    capped, other = rule(1_000, amounts(cap=100)), rule(1_000, categories=["cars"])
    car = DealLine(amount_minor=5_000, categories=("cars",))
    found = quote([capped, other], 1_000, car, 500, 500)
    assert [line.fee_minor for line in found.lines] == [50, 500, 25, 25]
    assert quote([capped], 400, 600).fee_minor == 100


POINTS = st.integers(0, 10_000)
MINOR = st.integers(0, 10**12)
KNOWN = st.builds(
    amounts,
    fixed=MINOR,
    minimum=MINOR,
    maximum=st.none() | st.integers(1, 10**12),
    cap=st.none() | st.integers(1, 10**12),
)


@given(POINTS, KNOWN, st.lists(st.integers(1, 10**15), min_size=1, max_size=6), POINTS)
def test_whatever_the_rules_say_the_parts_add_up_and_nobody_owes(points, known, lines, tax):
    found = quote([rule(points, known)], *lines, taxes=[FeeTax(country="DE", basis_points=tax)], country="DE")
    assert found.fee_minor + found.tax_minor + found.net_minor == sum(lines)
    for line in found.lines:
        assert line.percent_minor + line.fixed_minor + line.bound_minor == line.fee_minor
        assert min(line.fee_minor, line.tax_minor, line.amount_minor - line.fee_minor - line.tax_minor) >= 0
    assert known.cap is None or found.fee_minor <= known.cap
