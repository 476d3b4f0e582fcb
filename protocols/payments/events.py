"""What payments tell: people on `personal:#<user_id>`, the treasury on `treasury`."""

from uuid import UUID

from msgspec import Struct

from protocols.payments.commands import AccountFault, Treasury
from protocols.payments.deals import DealKind
from protocols.payments.escrows import EscrowStatus
from protocols.payments.payouts import PayoutAccountChanged, PayoutChanged
from protocols.payments.top_ups import DisputeClosed, TopUpChanged, TopUpDisputed
from protocols.values import AmountMinor, Currency, Timestamp


class EscrowNotice(Struct, frozen=True, kw_only=True):
    """The escrow of a deal of yours took a step. Every party is told, once per step."""

    escrow_id: UUID
    kind: DealKind
    ref: UUID
    """What was dealt in: an auction, an order."""
    status: EscrowStatus
    version: int
    """The number of the step, from 1 without a gap."""
    currency: Currency
    amount: AmountMinor
    """What is or was in it, in minor units."""
    moved: int
    """What this step moved."""
    released: int
    """What went to those it was for so far."""
    refunded: int
    """What went back to who paid so far."""
    left: int
    ends_at: Timestamp
    """When what is left returns to who paid, unless it is frozen."""


PERSONAL_EVENTS: dict[str, type[Struct]] = {
    "escrow_opened": EscrowNotice,
    "escrow_released": EscrowNotice,
    "escrow_refunded": EscrowNotice,
    "escrow_frozen": EscrowNotice,
    "escrow_unfrozen": EscrowNotice,
    "escrow_resolved": EscrowNotice,
    "top_up_changed": TopUpChanged,
    "top_up_disputed": TopUpDisputed,
    "dispute_closed": DisputeClosed,
    "payout_changed": PayoutChanged,
    "payout_account_changed": PayoutAccountChanged,
}
"""By the type that `Event` names."""

EVENTS: dict[str, type[Struct]] = {
    "treasury_changed": Treasury,
    "account_differs": AccountFault,
    "account_mended": AccountFault,
}
"""Event types on `treasury`, for the interface documents."""
