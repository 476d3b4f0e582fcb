"""Disputes of cardholders as their table keeps them."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from protocols.values import new_id
from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "disputes.sql")

DisputeStatus = Literal["created", "open", "won", "lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeRow:
    """One dispute."""

    dispute_id: UUID
    reference: str
    top_up_id: UUID
    status: DisputeStatus
    """`created`: nothing is booked, the provider was not asked yet."""
    amount_minor: int
    take_id: UUID
    owe_id: UUID
    return_id: UUID


async def find_or_insert_dispute(db: Connection, reference: str, top_up_id: UUID, now_ms: int) -> UUID:
    """Return the dispute of a reference, kept as new when it is. Cost: two round trips."""
    ids = [new_id() for _ in range(4)]
    await db.execute(_sql.insert_dispute, ids[0], reference, top_up_id, *ids[1:], now_ms)
    found: UUID = await db.fetchval(_sql.find_dispute, reference)
    return found


async def read_dispute(db: Connection, dispute_id: UUID) -> DisputeRow | None:
    """Return a dispute. Cost: one primary key probe."""
    row = await db.fetchrow(_sql.read_dispute, dispute_id)
    return None if row is None else DisputeRow(**row)


async def lock_dispute(db: Connection, dispute_id: UUID) -> DisputeRow | None:
    """Return a dispute that nobody else changes until commit. Cost: one primary key probe."""
    row = await db.fetchrow(_sql.lock_dispute, dispute_id)
    return None if row is None else DisputeRow(**row)


async def update_dispute(
    db: Connection, dispute_id: UUID, status: DisputeStatus, amount_minor: int, taken_at_ms: int | None
) -> None:
    """Write what became of a locked dispute; when its money was taken first stays. Cost: one round trip."""
    await db.execute(_sql.update_dispute, dispute_id, status, amount_minor, taken_at_ms)


async def is_disputed(db: Connection, top_up_id: UUID) -> bool:
    """Return whether a dispute has taken the money of a top-up. Cost: one index probe."""
    found: bool = await db.fetchval(_sql.is_disputed, top_up_id)
    return found
