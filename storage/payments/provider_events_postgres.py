"""Events of the provider as their table keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from protocols.payments.webhooks import ProviderEvent
from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "provider_events.sql")

EventStatus = Literal["stored", "done", "ignored", "unmatched"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One event that waits."""

    row_id: UUID
    event_id: str
    type: str
    object: str
    reference: str
    own_id: UUID | None
    payment: str
    attempts: int


async def insert_event(
    db: Connection, row_id: UUID, event: ProviderEvent, status: EventStatus, now_ms: int
) -> bool:
    """Keep an event; False when it came before. Cost: one round trip."""
    kept = await db.fetchval(
        _sql.insert_event,
        event.id,
        row_id,
        event.type,
        event.object,
        event.reference,
        event.own_id,
        event.payment,
        status,
        now_ms,
    )
    return kept is not None


async def lock_events(db: Connection, row_ids: Sequence[UUID]) -> list[EventRow]:
    """Return those of these events that wait, locked. Cost: one round trip."""
    return [EventRow(**row) for row in await db.fetch(_sql.lock_events, list(row_ids))]


async def update_event(db: Connection, row_id: UUID, status: EventStatus) -> None:
    """Write what became of a locked event, after one attempt more. Cost: one round trip."""
    await db.execute(_sql.update_event, row_id, status)


async def delete_old_events(db: Connection, before_ms: int, limit: int) -> int:
    """Forget events from before an instant, at most `limit`; return how many. Cost: one round trip."""
    return len(await db.fetch(_sql.delete_old_events, before_ms, limit))
