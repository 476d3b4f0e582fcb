"""Timer: ask the provider again about refunds that have not ended."""

from collections.abc import Sequence
from uuid import UUID

import structlog

from handlers.contract import JobRequest, Outcome, Stores, Timer
from handlers.payments.checks import next_check_ms
from storage.payments.refunds_postgres import lock_refund, note_refund_check

_log = structlog.get_logger()


async def check_refunds(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Have the provider asked; after the last question a person has to look."""
    outcomes = []
    for refund_id in sorted(dict.fromkeys(refs)):
        row = await lock_refund(stores.db, refund_id)
        if row is None or row.status not in {"created", "processing"}:
            continue
        wait_ms = next_check_ms(row.checks + 1, is_known=bool(row.reference))
        await note_refund_check(stores.db, refund_id, row.checks + 1, needs_review=wait_ms is None)
        if wait_ms is None:
            _log.error("refund_needs_review", refund_id=str(refund_id), status=row.status)
        timers = [] if wait_ms is None else [Timer("check_refunds", refund_id, now_ms + wait_ms)]
        jobs = [JobRequest("payments.advance_refund", refund_id)]
        outcomes.append(Outcome(None, timers=timers, jobs=jobs))
    return outcomes
