"""Escrows as their parties see them."""

from protocols.payments.escrow_commands import EscrowLine, EscrowView
from protocols.values import to_timestamp
from storage.payments.escrow_rules import Escrow


def to_view(escrow: Escrow) -> EscrowView:
    """Return an escrow as the wire has it."""
    row = escrow.row
    return EscrowView(
        id=row.escrow_id,
        kind=row.kind,
        ref=row.ref,
        payer_id=row.payer_id,
        status=row.status,
        version=row.version,
        currency=row.currency,
        amount=row.amount_minor,
        released=row.released_minor,
        refunded=row.refunded_minor,
        left=row.left_minor,
        lines=[
            EscrowLine(
                role=line.role,
                user_id=line.user_id,
                amount=line.amount_minor,
                released=line.released_minor,
                refunded=line.refunded_minor,
            )
            for line in escrow.lines
        ],
        commission_version=row.commission_version,
        opened_at=to_timestamp(row.opened_at_ms),
        ends_at=to_timestamp(row.ends_at_ms),
        frozen_at=None if row.frozen_at_ms is None else to_timestamp(row.frozen_at_ms),
    )
