"""Commands, queries and replies of escrows."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from protocols.payments.deals import DealKind
from protocols.payments.escrows import EscrowPart, EscrowRole, EscrowStatus
from protocols.values import AmountMinor, Currency, Cursor, Key, PageLimit, Timestamp

Parts = Annotated[list[EscrowPart], Meta(max_length=100)]
Sum = Annotated[int, Meta(ge=0, examples=[0])]
"""Minor units; nothing moved yet is 0."""


class GetEscrow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read an escrow that you are a party to; support reads all."""

    escrow_id: UUID


class ListEscrows(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read the escrows that you are a party to, the newest first."""

    limit: PageLimit = 20
    cursor: Cursor = ""


class ReleaseOwnEscrow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give what you paid into an escrow to those it is for: you have what you paid for."""

    escrow_id: UUID
    parts: Annotated[list[EscrowPart], Meta(min_length=1, max_length=100)] | None = None
    """None: all that is left."""
    key: Key = ""


class RefundReceivedEscrow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give all that is left of an escrow that is for you alone back to who paid."""

    escrow_id: UUID
    key: Key = ""


class FreezeOpenEscrow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let nothing leave an escrow until a dispute is over."""

    escrow_id: UUID
    key: Key = ""


class UnfreezeFrozenEscrow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End a dispute without a decision: the escrow goes on, and its end moves by the time that it was frozen."""

    escrow_id: UUID
    key: Key = ""


class ResolveFrozenEscrow(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End a dispute by a split: what is not named goes back to who paid."""

    escrow_id: UUID
    released: Parts
    """What goes to those whom the lines are for; empty: everything goes back."""
    key: Key = ""


class EscrowLine(Struct, frozen=True, kw_only=True):
    """How much is for whom, in minor units."""

    role: EscrowRole
    user_id: UUID | None
    """None for the market's own lines."""
    amount: AmountMinor
    released: Sum
    refunded: Sum


class EscrowView(Struct, frozen=True, kw_only=True):
    """Money that waits for the end of a deal, in minor units of its currency."""

    id: UUID
    kind: DealKind
    ref: UUID
    """What was dealt in: an auction, an order."""
    payer_id: UUID
    status: EscrowStatus
    version: int
    """How many steps it took; the answer's ETag."""
    currency: Currency
    amount: AmountMinor
    released: Sum
    refunded: Sum
    left: Sum
    lines: list[EscrowLine]
    commission_version: int
    """The version of the commission rules that the deal was quoted with."""
    opened_at: Timestamp
    ends_at: Timestamp
    """When what is left returns to who paid, unless it is frozen."""
    frozen_at: Timestamp | None


class EscrowList(Struct, frozen=True, kw_only=True):
    """A page of escrows."""

    items: list[EscrowView]
    next_cursor: str | None
