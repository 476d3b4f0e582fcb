"""What a payment provider says of its objects, whoever the provider is. Data, no behaviour.

`own_id` is the id that we gave with the call that made an object: the provider keeps it with the object, so an object
can be told to be ours even when the answer to that call was lost. Amounts are minor units.
"""

from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

PaymentStatus = Literal["requires_action", "processing", "succeeded", "failed", "canceled"]
RefundStatus = Literal["processing", "succeeded", "failed"]
DisputeStatus = Literal["inquiry", "open", "won", "lost"]
"""An inquiry asks, and takes no money yet."""
AccountStatus = Literal["pending", "active", "restricted", "rejected"]
PayoutStatus = Literal["sent", "paid", "failed"]
MovementKind = Literal["charge", "refund", "dispute", "payout"]


class ProviderPayment(Struct, frozen=True, kw_only=True):
    """A card payment."""

    reference: str
    own_id: UUID | None
    status: PaymentStatus
    amount_minor: int
    currency: str
    client_secret: str = ""
    """What the client confirms the payment with, at the provider."""
    failure: str = ""
    """The provider's word for why the last attempt failed."""
    entry: str = ""
    """What the provider's books call it, once they have it."""


class ProviderRefund(Struct, frozen=True, kw_only=True):
    """Money on its way back to a card."""

    reference: str
    own_id: UUID | None
    status: RefundStatus
    failure: str = ""


class ProviderDispute(Struct, frozen=True, kw_only=True):
    """A cardholder's dispute: the provider has taken the money back, until it is decided."""

    reference: str
    payment: str
    status: DisputeStatus
    amount_minor: int
    currency: str


class ProviderMethod(Struct, frozen=True, kw_only=True):
    """A saved card."""

    reference: str
    customer: str
    brand: str
    last4: str
    expires: str
    """Its last month: `2030-12`."""


class ProviderAccount(Struct, frozen=True, kw_only=True):
    """Who is paid out to."""

    reference: str
    own_id: UUID | None
    status: AccountStatus


class ProviderPayout(Struct, frozen=True, kw_only=True):
    """Money on its way to a bank."""

    reference: str
    own_id: UUID | None
    status: PayoutStatus
    failure: str = ""
    entry: str = ""
    """What the provider's books call it, once they have it."""


class Movement(Struct, frozen=True, kw_only=True):
    """A line of the provider's own books: positive where money came to us."""

    reference: str
    kind: MovementKind
    source: str
    """The reference of the payment, refund, dispute or payout that it is about."""
    amount_minor: int
    fee_minor: int
    currency: str
    at_ms: int


class ProviderRefusedError(Exception):
    """The provider said no for good: repeating the call changes nothing."""

    def __init__(self, reason: str, about: dict[str, Any] | None = None) -> None:
        """Keep the provider's word for why, and the object that the refused call left behind, if any."""
        self.reason = reason
        self.about = about
        super().__init__(reason)
