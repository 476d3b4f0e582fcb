"""Timer: have what events are about read from the provider."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from handlers.contract import JobRequest, Outcome, Stores, Timer
from storage.engines.postgres import Connection
from storage.payments.disputes_postgres import find_or_insert_dispute
from storage.payments.payouts_postgres import find_account, find_payout, read_account_row, read_payout
from storage.payments.provider_events_postgres import EventRow, lock_events, update_event
from storage.payments.refunds_postgres import find_refund, read_refund
from storage.payments.top_ups_postgres import find_reference, read_top_up

WAITS_MS = (1_000, 10_000, 60_000, 600_000, 3_600_000)
"""Before an event about nothing we know is looked at again: the answer of our own call may be on its way."""

EVENTS_MAX = 100
"""Events worked on in one transaction."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How an object of ours is found: by the id that we gave, or by the provider's name."""

    read: Callable[[Connection, UUID], Awaitable[object]]
    find: Callable[[Connection, str], Awaitable[UUID | None]]
    job: str


_KINDS = {
    "payment_intent": _Kind(read_top_up, find_reference, "payments.advance_top_up"),
    "refund": _Kind(read_refund, find_refund, "payments.advance_refund"),
    "payout": _Kind(read_payout, find_payout, "payments.advance_payout"),
    "account": _Kind(read_account_row, find_account, "payments.advance_payout_account"),
}

_log = structlog.get_logger()


async def process_events(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Ask for a job for what each event is about; one that is about nothing of ours is put aside in the end."""
    row_ids = list(dict.fromkeys(refs))
    outcomes = [Outcome(None, timers=[Timer("process_events", ref, now_ms) for ref in row_ids[EVENTS_MAX:]])]
    for event in await lock_events(stores.db, row_ids[:EVENTS_MAX]):
        job = await _job_for(event, stores.db, now_ms)
        if job is not None:
            await update_event(stores.db, event.row_id, "done")
            outcomes.append(Outcome(None, jobs=[job]))
        elif event.attempts < len(WAITS_MS):
            await update_event(stores.db, event.row_id, "stored")
            due_at_ms = now_ms + WAITS_MS[event.attempts]
            outcomes.append(Outcome(None, timers=[Timer("process_events", event.row_id, due_at_ms)]))
        else:
            await update_event(stores.db, event.row_id, "unmatched")
            _log.warning("provider_event_unmatched", event_id=event.event_id, type=event.type)
    return outcomes


async def _job_for(event: EventRow, db: Connection, now_ms: int) -> JobRequest | None:
    """Return the job that reads what an event is about; None when it is about nothing we know."""
    if event.object == "dispute":
        top_up_id = await find_reference(db, event.payment)
        if top_up_id is None:
            return None
        dispute_id = await find_or_insert_dispute(db, event.reference, top_up_id, now_ms)
        return JobRequest("payments.advance_dispute", dispute_id)
    kind = _KINDS[event.object]
    if event.own_id is not None and await kind.read(db, event.own_id) is not None:
        return JobRequest(kind.job, event.own_id)
    found = await kind.find(db, event.reference)
    return None if found is None else JobRequest(kind.job, found)
