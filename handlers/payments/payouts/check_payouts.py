"""Timer: send payouts that nobody took back, and ask the provider again about those that have not ended."""

from collections.abc import Sequence
from uuid import UUID

import structlog

from handlers.contract import JobRequest, Outcome, Stores, Timer
from handlers.payments.checks import next_check_ms
from storage.payments.payouts_postgres import lock_payout, note_payout_check

_log = structlog.get_logger()


async def check_payouts(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Have the provider asked; after the last question a person has to look."""
    outcomes = []
    for payout_id in sorted(dict.fromkeys(refs)):
        row = await lock_payout(stores.db, payout_id)
        if row is None or row.status not in {"created", "sent"}:
            continue
        wait_ms = next_check_ms(row.checks, is_known=bool(row.reference))
        await note_payout_check(stores.db, payout_id, row.checks + 1, needs_review=wait_ms is None)
        if wait_ms is None:
            _log.error("payout_needs_review", payout_id=str(payout_id), status=row.status)
        timers = [] if wait_ms is None else [Timer("check_payouts", payout_id, now_ms + wait_ms)]
        jobs = [JobRequest("payments.advance_payout", payout_id)]
        outcomes.append(Outcome(None, timers=timers, jobs=jobs))
    return outcomes
