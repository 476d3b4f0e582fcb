"""What a step does to an escrow, from every status; and whatever is asked, nothing is made or lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import Refusal
from protocols.payments.escrows import (
    EscrowPart,
    FreezeEscrow,
    RefundEscrow,
    ReleaseEscrow,
    ResolveEscrow,
    UnfreezeEscrow,
)
from protocols.payments.refusals import EscrowTooSmall
from protocols.values import new_id
from storage.payments.escrow_rules import HOLD_MAX_MS, Escrow, open_escrow, spread, take_step
from tests.support.money import line, opening

NOW, DAY_MS = 1_000_000, 86_400_000
BUYER, SELLER, TRAVELLER = new_id(), new_id(), new_id()


def opened(**fields) -> Escrow:
    step = opening(
        BUYER,
        line("seller", 700, SELLER),
        line("traveller", 200, TRAVELLER),
        line("commission", 100),
        **({"ends_at_ms": NOW + DAY_MS} | fields),
    )
    return open_escrow(step, NOW).escrow


def parts(**amounts: int) -> tuple[EscrowPart, ...]:
    places = {"seller": 0, "traveller": 1, "commission": 2, "nobody": 3}
    return tuple(EscrowPart(line=places[role], amount=amount) for role, amount in amounts.items())


def ask(kind, **fields):
    return kind(step_id=new_id(), escrow_id=new_id(), **fields)


RELEASE, REFUND = ask(ReleaseEscrow), ask(RefundEscrow)
FREEZE, UNFREEZE = ask(FreezeEscrow), ask(UnfreezeEscrow)
SOME = ask(ReleaseEscrow, parts=parts(seller=700, commission=100))
RESOLVE = ask(ResolveEscrow, released=parts(seller=350, commission=50))


def after(*steps, now_ms=NOW) -> Escrow:
    escrow = opened()
    for step in steps:
        escrow = take_step(escrow, step, now_ms).escrow
    return escrow


@pytest.mark.parametrize(
    ("before", "step", "end"),
    [
        ([], RELEASE, "released"),
        ([], REFUND, "refunded"),
        ([], FREEZE, "frozen"),
        ([], UNFREEZE, "escrow_not_frozen"),
        ([], RESOLVE, "escrow_not_frozen"),
        ([], SOME, "open"),
        ([], ask(ReleaseEscrow, parts=parts(seller=701)), "escrow_too_small"),
        ([], ask(ReleaseEscrow, parts=parts(nobody=1)), "escrow_too_small"),
        ([], ask(ReleaseEscrow, parts=(*parts(seller=400), *parts(seller=301))), "escrow_too_small"),
        ([SOME], ask(RefundEscrow, parts=parts(seller=1)), "escrow_too_small"),
        ([SOME], REFUND, "split"),
        ([SOME], RELEASE, "released"),
        ([FREEZE], RELEASE, "escrow_frozen"),
        ([FREEZE], REFUND, "escrow_frozen"),
        ([FREEZE], FREEZE, "escrow_frozen"),
        ([FREEZE], UNFREEZE, "open"),
        ([FREEZE], RESOLVE, "split"),
        ([FREEZE], ask(ResolveEscrow, released=()), "refunded"),
        ([FREEZE], ask(ResolveEscrow, released=parts(seller=700, traveller=200, commission=100)), "released"),
        ([FREEZE], ask(ResolveEscrow, released=parts(seller=701)), "escrow_too_small"),
        ([FREEZE, UNFREEZE], RELEASE, "released"),
        *(([end], step, "escrow_released") for end in (RELEASE, REFUND) for step in (RELEASE, REFUND)),
        *(([RELEASE], step, "escrow_released") for step in (FREEZE, UNFREEZE, RESOLVE)),
    ],
)
def test_what_each_step_does_from_each_status(before, step, end):
    escrow = after(*before)
    try:
        found = take_step(escrow, step, NOW).escrow.row.status
    except Refusal as refusal:
        found = refusal.code
    assert found == end


def test_a_fully_refunded_escrow_says_so_and_never_that_it_was_paid():
    escrow = after(ask(RefundEscrow, parts=parts(seller=700)), REFUND)
    assert (escrow.row.status, escrow.row.refunded_minor, escrow.row.released_minor) == ("refunded", 1_000, 0)


def test_a_split_goes_to_everybody_at_once_and_leaves_nothing():
    taken = take_step(after(SOME, FREEZE), ask(ResolveEscrow, released=parts(traveller=50)), NOW)
    assert taken.released == parts(traveller=50)
    assert taken.refunded == parts(traveller=150)
    assert (taken.escrow.row.status, taken.escrow.row.left_minor, taken.escrow.row.version) == ("split", 0, 4)


def test_time_stands_still_while_it_is_frozen_but_never_beyond_ninety_days():
    frozen = after(FREEZE)
    ends = {
        days: take_step(frozen, UNFREEZE, NOW + days * DAY_MS).escrow.row.ends_at_ms for days in (0, 5, 95)
    }
    assert ends == {0: NOW + DAY_MS, 5: NOW + 6 * DAY_MS, 95: NOW + HOLD_MAX_MS}


@pytest.mark.parametrize(
    "fields",
    [{"ends_at_ms": NOW}, {"ends_at_ms": NOW + HOLD_MAX_MS + 1}],
)
def test_an_escrow_has_an_end_within_ninety_days(fields):
    with pytest.raises(AssertionError):
        opened(**fields)


def test_a_line_of_a_person_names_the_person():
    with pytest.raises(AssertionError):
        open_escrow(opening(BUYER, line("seller", 1), ends_at_ms=NOW + 1), NOW)


def test_an_amount_is_spread_over_what_the_lines_have_left():
    lines = after(ask(ReleaseEscrow, parts=parts(seller=500))).lines
    assert spread(lines, 250) == parts(seller=100, traveller=100, commission=50)
    assert spread(lines, 1) == parts(seller=1)
    with pytest.raises(EscrowTooSmall):
        spread(lines, 501)


PARTS = st.none() | st.lists(
    st.builds(EscrowPart, line=st.integers(0, 3), amount=st.integers(1, 400)), min_size=1, max_size=3
).map(tuple)
STEPS = st.one_of(
    st.builds(ask, st.just(ReleaseEscrow), parts=PARTS),
    st.builds(ask, st.just(RefundEscrow), parts=PARTS),
    st.builds(ask, st.just(ResolveEscrow), released=PARTS.map(lambda some: some or ())),
    st.sampled_from([FREEZE, UNFREEZE]),
)


@settings(max_examples=100)
@given(st.lists(STEPS, max_size=12))
def test_whatever_is_asked_nothing_is_made_or_lost_and_a_frozen_escrow_moves_by_its_resolution_alone(steps):
    escrow = opened()
    for step in steps:
        before = escrow
        try:
            taken = take_step(escrow, step, NOW)
        except Refusal:
            continue
        escrow = taken.escrow
        row = escrow.row
        assert row.version == before.row.version + 1
        assert taken.amount_minor == before.row.left_minor - row.left_minor
        assert sum(line.left_minor for line in escrow.lines) == row.left_minor
        assert all(line.left_minor >= 0 for line in escrow.lines)
        assert (row.left_minor == 0) == (row.status in {"released", "refunded", "split"})
        if before.row.status == "frozen" and taken.amount_minor:
            assert isinstance(step, ResolveEscrow)
            assert row.left_minor == 0
