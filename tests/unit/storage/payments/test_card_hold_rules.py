"""How a card payment is kept until its delivery: by a table of days, and by a simulated clock."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from storage.payments.card_hold_rules import AUTHORISATION_MS, DAY_MS, SETTLING_MS, plan_card_hold
from storage.payments.escrow_rules import HOLD_MAX_MS

NOW = 1_800_000_000_000


@pytest.mark.parametrize(
    ("days", "steps"),
    [
        (-3, [("authorise", 0), ("capture", 6), ("refund", 96)]),
        (0, [("authorise", 0), ("capture", 6), ("refund", 96)]),
        (6, [("authorise", 0), ("capture", 6), ("refund", 96)]),
        (7, [("capture", 0), ("refund", 90)]),
        (30, [("capture", 0), ("refund", 90)]),
        (76, [("capture", 0), ("refund", 90)]),
        (77, [("authorise", 0), ("capture", 1), ("refund", 91)]),
        (90, [("authorise", 0), ("authorise", 6), ("authorise", 12), ("capture", 14), ("refund", 104)]),
    ],
)
def test_what_is_done_for_a_delivery_in_so_many_days(days, steps):
    planned = plan_card_hold(NOW, NOW + days * DAY_MS).steps
    assert [(step.step, (step.at_ms - NOW) / DAY_MS) for step in planned] == steps


def test_a_millisecond_after_six_days_is_captured_at_once():
    assert plan_card_hold(NOW, NOW + 6 * DAY_MS + 1).steps[0].step == "capture"


@settings(max_examples=300)
@example(delivery_in_ms=77 * DAY_MS, after_ms=365 * DAY_MS)
@given(delivery_in_ms=st.integers(0, 365 * DAY_MS), after_ms=st.integers(0, 380 * DAY_MS))
def test_no_authorisation_is_void_and_no_money_is_kept_for_too_long(delivery_in_ms, after_ms):
    """At any instant until the money is released, it is authorised or captured."""
    plan = plan_card_hold(NOW, NOW + delivery_in_ms)
    instant = NOW + min(after_ms, delivery_in_ms + SETTLING_MS - 1)
    step = plan.step_at(instant)
    assert step.step != "refund"
    assert instant - step.at_ms < (AUTHORISATION_MS if step.step == "authorise" else HOLD_MAX_MS)


@given(st.integers(0, 365 * DAY_MS))
def test_steps_follow_one_another_and_the_first_is_now(delivery_in_ms):
    plan = plan_card_hold(NOW, NOW + delivery_in_ms)
    instants = [step.at_ms for step in plan.steps]
    assert instants == sorted(set(instants))
    assert instants[0] == NOW
    assert [step.step for step in plan.steps][-2:] == ["capture", "refund"]


def test_a_timer_that_rings_late_takes_the_last_step_that_is_due():
    plan = plan_card_hold(NOW, NOW + 90 * DAY_MS)
    assert plan.step_at(NOW + 13 * DAY_MS).at_ms == NOW + 12 * DAY_MS
    assert plan.step_at(NOW + 200 * DAY_MS).step == "refund"


def test_nobody_plans_more_than_a_year_ahead():
    with pytest.raises(AssertionError):
        plan_card_hold(NOW, NOW + 366 * DAY_MS)
