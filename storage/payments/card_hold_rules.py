"""How a card payment is kept until an expected delivery: authorised, captured, or authorised again and again. Pure.

An authorisation takes nothing and is void after seven days; captured money may be kept for 90. So a delivery within
days is only authorised, a later one is captured at once, and one so late that captured money would be kept for too long
is authorised again until it may be captured.
"""

from typing import Literal

from msgspec import Struct

from storage.payments.escrow_rules import HOLD_MAX_MS

DAY_MS = 86_400_000

AUTHORISATION_MS = 7 * DAY_MS
"""How long a card authorisation lives."""

RENEW_AFTER_MS = 6 * DAY_MS
"""When one is captured or replaced: a day before it is void, so that whoever is late is not too late."""

SETTLING_MS = 14 * DAY_MS
"""How long after a delivery the money may still wait to be released."""

AHEAD_MAX_MS = 365 * DAY_MS
"""The latest delivery that can be planned for."""

CardStep = Literal["authorise", "capture", "refund"]


class PlannedStep(Struct, frozen=True):
    """What is done at an instant if the money has not moved on by then."""

    step: CardStep
    at_ms: int


class CardPlan(Struct, frozen=True):
    """The steps of a payment in order. The first is due at once; a timer is set for each of the others."""

    steps: tuple[PlannedStep, ...]

    def step_at(self, now_ms: int) -> PlannedStep:
        """Return the last step that is due: a timer that rings late takes it and passes over those before it."""
        return [step for step in self.steps if step.at_ms <= now_ms][-1]


def plan_card_hold(now_ms: int, delivery_at_ms: int) -> CardPlan:
    """Return how a payment made now is kept for a delivery; one in the past counts as at once.

    The last step refunds what nobody released 90 days after the capture. AssertionError for a delivery that is more
    than a year ahead.
    """
    assert delivery_at_ms - now_ms <= AHEAD_MAX_MS, "nobody plans that far ahead"
    if delivery_at_ms - now_ms <= RENEW_AFTER_MS:
        capture_at_ms = now_ms + RENEW_AFTER_MS  # it is late, and the authorisation must not become void
    else:
        capture_at_ms = max(now_ms, delivery_at_ms + SETTLING_MS - HOLD_MAX_MS)
    renewals = range(now_ms, capture_at_ms, RENEW_AFTER_MS)
    steps = (
        *(PlannedStep("authorise", at_ms) for at_ms in renewals),
        PlannedStep("capture", capture_at_ms),
        PlannedStep("refund", capture_at_ms + HOLD_MAX_MS),
    )
    return CardPlan(steps)
