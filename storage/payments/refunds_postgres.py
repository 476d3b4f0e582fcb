"""Refunds as their table keeps them."""

from dataclasses import dataclass
from uuid import UUID

from protocols.payments.top_ups import RefundStatus
from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "refunds.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRow:
    """One refund, and the provider's name of the payment that it gives back."""

    refund_id: UUID
    top_up_id: UUID
    owner_id: UUID
    currency: str
    amount_minor: int
    status: RefundStatus
    reference: str
    take_id: UUID | None
    """Took the money from its owner; None where it never was the owner's."""
    end_id: UUID
    """Books that it left, or that it came back."""
    checks: int
    created_at_ms: int
    payment: str


async def insert_refund(db: Connection, row: RefundRow) -> None:
    """Keep a new refund; one that is there stays. Cost: one round trip."""
    await db.execute(
        _sql.insert_refund,
        row.refund_id,
        row.top_up_id,
        row.owner_id,
        row.currency,
        row.amount_minor,
        row.take_id,
        row.end_id,
        row.created_at_ms,
    )


async def read_refund(db: Connection, refund_id: UUID) -> RefundRow | None:
    """Return a refund. Cost: two primary key probes."""
    row = await db.fetchrow(_sql.read_refund, refund_id)
    return None if row is None else RefundRow(**row)


async def lock_refund(db: Connection, refund_id: UUID) -> RefundRow | None:
    """Return a refund that nobody else changes until commit. Cost: two primary key probes."""
    row = await db.fetchrow(_sql.lock_refund, refund_id)
    return None if row is None else RefundRow(**row)


async def find_refund(db: Connection, reference: str) -> UUID | None:
    """Return the refund of a reference of the provider's. Cost: one index probe."""
    found: UUID | None = await db.fetchval(_sql.find_refund, reference)
    return found


async def update_refund(
    db: Connection,
    refund_id: UUID,
    status: RefundStatus,
    reference: str,
    failure: str,
    booked_at_ms: int | None,
) -> None:
    """Write what became of a locked refund. Cost: one round trip."""
    await db.execute(_sql.update_refund, refund_id, status, reference, failure, booked_at_ms)


async def note_refund_check(db: Connection, refund_id: UUID, checks: int, *, needs_review: bool) -> None:
    """Keep how often the provider was asked, and that somebody has to look. Cost: one round trip."""
    await db.execute(_sql.note_refund_check, refund_id, checks, needs_review)
