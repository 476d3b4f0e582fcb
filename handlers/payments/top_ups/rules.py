"""What a top-up becomes by what the provider says of its payment. Pure."""

from dataclasses import dataclass

from protocols.payments.provider import PaymentStatus
from protocols.payments.top_ups import TopUpStatus


@dataclass(frozen=True, slots=True)
class Decision:
    """The status from now on, and what is booked."""

    status: TopUpStatus
    is_paid: bool = False
    """The money came in and belongs to the owner."""
    is_late: bool = False
    """The money came in after the top-up was given up, and goes back."""


OPEN: frozenset[TopUpStatus] = frozenset({"created", "requires_action", "processing", "failed"})
"""What a payment may still change."""


def observe(status: TopUpStatus, seen: PaymentStatus) -> Decision:
    """Return what a top-up becomes. What was seen may be old, or seen before: nothing is booked twice, or undone."""
    if status == "canceled":
        return Decision(status, is_late=seen == "succeeded")
    if status not in OPEN:
        return Decision(status)
    return Decision(seen, is_paid=seen == "succeeded")
