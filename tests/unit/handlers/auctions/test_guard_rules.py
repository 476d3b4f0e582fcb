"""Cover, standing, decisions and revocations, by table."""

from uuid import UUID

import pytest
from msgspec.structs import replace

from handlers.auctions.formats.units_rules import apply_bid as judge_units_bid
from handlers.auctions.guard_rules import (
    check_cover,
    check_decision,
    check_revocation,
    check_standing,
    default_limit,
    exposure_in,
    exposures_of,
    find_increased,
)
from handlers.auctions.rules import HOUR_MS, SaleTerms, apply_bid, default_steps, open_state
from protocols.auctions.guards import (
    BidderIsBlocked,
    BidderNotApproved,
    BidderNotFound,
    BidderNotRevocable,
    ExposureExceeded,
)

SELLER, ANN, BOB = (UUID(int=n) for n in (9, 1, 2))
END = 48 * HOUR_MS
TERMS = SaleTerms(SELLER, 10_00, None, None, 0, END, default_steps(2), None, exposure_guard=True)
NEW = open_state(TERMS, 0)
LED = apply_bid(TERMS, NEW, ANN, 50_00, 1)


@pytest.mark.parametrize(("exponent", "limit"), [(0, 10_000), (2, 10_000_00), (3, 10_000_000)])
def test_the_default_limit_is_in_whole_units_of_the_currency(exponent, limit):
    assert default_limit(exponent) == limit


def test_an_open_guarded_auction_holds_its_leaders_maximum_and_nothing_else_does():
    assert exposures_of(TERMS, NEW) == {}
    assert exposures_of(TERMS, LED) == {ANN: 50_00}
    assert exposures_of(TERMS, apply_bid(TERMS, LED, BOB, 60_00, 2)) == {BOB: 60_00}
    assert exposures_of(replace(TERMS, exposure_guard=False), LED) == {}
    for over in ("sold", "unsold", "cancelled"):
        assert exposures_of(TERMS, replace(LED, status=over)) == {}
        assert exposure_in(replace(LED, status=over), ANN) == 0
    assert (exposure_in(LED, ANN), exposure_in(LED, BOB)) == (50_00, 0)


def test_a_bid_for_several_units_counts_in_full_as_long_as_it_gets_one():
    three = replace(TERMS, quantity=3)
    first = judge_units_bid(three, NEW, ANN, 20_00, 1, 2)
    second = judge_units_bid(three, first, BOB, 30_00, 2, 2)
    assert exposures_of(three, second) == {BOB: 60_00, ANN: 40_00}, "Ann gets one unit of two"
    assert (find_increased(first, second), find_increased(second, first)) == ([BOB], [])
    third = judge_units_bid(three, second, BOB, 30_01, 3, 3)
    assert exposures_of(three, third) == {BOB: 90_03}
    assert (find_increased(second, third), find_increased(third, second)) == ([BOB], [ANN])
    assert exposures_of(three, replace(third, status="sold")) == {}


@pytest.mark.parametrize(
    ("limit", "used", "held_here", "amount", "free"),
    [
        (100, 0, 0, 100, None),
        (100, 0, 0, 101, 100),
        (100, 60, 0, 40, None),
        (100, 60, 0, 41, 40),
        (100, 60, 60, 100, None),  # a raise takes the place of what it raises
        (100, 60, 60, 101, 100),
        (50, 60, 0, 1, 0),  # the limit was lowered
        (0, 0, 0, 1, 0),
    ],
)
def test_an_amount_has_to_fit_beside_all_other_bids(limit, used, held_here, amount, free):
    if free is None:
        check_cover(limit, used, held_here, amount)
        return
    with pytest.raises(ExposureExceeded) as refused:
        check_cover(limit, used, held_here, amount)
    assert refused.value.facts == {"limit": limit, "used": used, "free": free}


@pytest.mark.parametrize("status", [None, "requested", "approved", "rejected", "revoked"])
def test_who_may_bid_follows_from_block_and_approval(status):
    with pytest.raises(BidderIsBlocked):
        check_standing(needs_approval=False, status=status, blocked=True)
    check_standing(needs_approval=False, status=status, blocked=False)
    if status == "approved":
        check_standing(needs_approval=True, status=status, blocked=False)
        return
    with pytest.raises(BidderNotApproved) as refused:
        check_standing(needs_approval=True, status=status, blocked=False)
    assert refused.value.facts == {"approval": status or "none"}


DECISIONS = {
    ("requested", "approved"): True,
    ("requested", "rejected"): True,
    ("requested", "revoked"): None,
    ("approved", "approved"): False,
    ("approved", "rejected"): None,
    ("approved", "revoked"): True,
    ("rejected", "approved"): True,
    ("rejected", "rejected"): False,
    ("rejected", "revoked"): None,
    ("revoked", "approved"): True,
    ("revoked", "rejected"): None,
    ("revoked", "revoked"): False,
    (None, "approved"): None,
    (None, "rejected"): None,
    (None, "revoked"): None,
}


@pytest.mark.parametrize(("status", "decision"), DECISIONS)
def test_a_seller_decides_what_fits_the_request(status, decision):
    changes = DECISIONS[status, decision]
    if changes is None:
        with pytest.raises(BidderNotFound):
            check_decision(status, decision)
    else:
        assert check_decision(status, decision) is changes


def test_standing_bids_can_be_cancelled_until_twelve_hours_before_the_end():
    check_revocation(LED, 1, END - 12 * HOUR_MS, sealed=False)
    with pytest.raises(BidderNotRevocable, match="twelve hours"):
        check_revocation(LED, 1, END - 12 * HOUR_MS + 1, sealed=False)
    check_revocation(LED, 0, END - 1, sealed=False)
    check_revocation(replace(LED, status="sold"), 1, END - 1, sealed=False)
    with pytest.raises(BidderNotRevocable, match="sealed"):
        check_revocation(LED, 1, 0, sealed=True)
