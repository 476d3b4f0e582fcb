"""What may be asked of an escrow: its opening and the steps after it. Data, no behaviour.

Every amount is in minor units of the escrow's currency. Whoever asks makes the id of a step and stores it first: the
same step asked again changes nothing.
"""

from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from msgspec import Meta, Struct

from protocols.payments.deals import DealKind
from protocols.values import AmountMinor

EscrowStatus = Literal["open", "frozen", "released", "refunded", "split"]
"""`open`: money waits. `frozen`: a dispute stops it. The others are ends: all of it went to those it was for, all of it
back to who paid, or some of it each way."""

EscrowRole = Literal["seller", "traveller", "commission", "tax"]
"""Whom a line is for; the last two are the market's."""

EscrowChangeKind = Literal["opened", "released", "refunded", "frozen", "unfrozen", "resolved"]


class EscrowPart(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Some of what is left of a line."""

    line: Annotated[int, Meta(ge=0, le=99, examples=[0])]
    """Its place among the agreed lines, from 0."""
    amount: AmountMinor


class LineTerms(Struct, frozen=True, kw_only=True):
    """How much of a deal is for whom."""

    role: EscrowRole
    user_id: UUID | None
    """None for the lines of the market."""
    amount_minor: int


class OpenEscrow(Struct, frozen=True, kw_only=True, tag_field="step", tag="open"):
    """Put money of who pays into the escrow of a deal, for agreed lines."""

    escrow_id: UUID
    """The deal's; it is also the id of this step."""
    kind: DealKind
    ref: UUID
    """What was dealt in: an auction, an order."""
    payer_id: UUID
    currency: str
    lines: tuple[LineTerms, ...]
    """In the order in which parts name them; together they are the escrow's amount."""
    commission_version: int
    """Of the rules that the deal was quoted with."""
    ends_at_ms: int
    """When what is left returns to who paid, unless it is frozen; at most 90 days ahead."""
    hold_id: UUID | None = None
    """Take it of this hold of the payer's, whose rest returns; None: of what the payer may spend."""


class ReleaseEscrow(Struct, frozen=True, kw_only=True, tag_field="step", tag="release"):
    """Give parts to those whom their lines are for."""

    step_id: UUID
    escrow_id: UUID
    parts: tuple[EscrowPart, ...] | None = None
    """None: all that is left."""


class RefundEscrow(Struct, frozen=True, kw_only=True, tag_field="step", tag="refund"):
    """Give parts back to who paid."""

    step_id: UUID
    escrow_id: UUID
    parts: tuple[EscrowPart, ...] | None = None
    """None: all that is left."""


class FreezeEscrow(Struct, frozen=True, kw_only=True, tag_field="step", tag="freeze"):
    """Let nothing leave until the dispute is over; its time stands still."""

    step_id: UUID
    escrow_id: UUID


class UnfreezeEscrow(Struct, frozen=True, kw_only=True, tag_field="step", tag="unfreeze"):
    """Go on as if there had been no dispute."""

    step_id: UUID
    escrow_id: UUID


class ResolveEscrow(Struct, frozen=True, kw_only=True, tag_field="step", tag="resolve"):
    """End a dispute: give these parts to those whom their lines are for, and the rest back to who paid."""

    step_id: UUID
    escrow_id: UUID
    released: tuple[EscrowPart, ...]


EscrowStep: TypeAlias = (
    OpenEscrow | ReleaseEscrow | RefundEscrow | FreezeEscrow | UnfreezeEscrow | ResolveEscrow
)
