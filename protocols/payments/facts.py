"""Facts that payments state for other domains: typed, never sent to clients. Aggregate: `escrows:<id>`.

Amounts are in minor units of the currency.
"""

from uuid import UUID

from msgspec import Struct

from protocols.payments.deals import DealKind
from protocols.payments.escrows import EscrowChangeKind, EscrowStatus


class EscrowChanged(Struct, frozen=True, kw_only=True):
    """An escrow took a step. Stated once per step."""

    escrow_id: UUID
    kind: DealKind
    ref: UUID
    change: EscrowChangeKind
    status: EscrowStatus
    """After the step."""
    currency: str
    amount_minor: int
    """What the step moved."""
    released_minor: int
    """What all steps gave to those it was for."""
    refunded_minor: int
    """What all steps gave back."""
    left_minor: int


FACTS: tuple[type[Struct], ...] = (EscrowChanged,)
