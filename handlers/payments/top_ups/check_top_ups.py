"""Timer: ask the provider again about top-ups that have not ended."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import structlog

from handlers.contract import Event, JobRequest, Outcome, Stores, Timer
from handlers.payments.checks import next_check_ms
from handlers.payments.top_ups.rules import OPEN
from handlers.payments.top_ups.views import to_changed
from protocols.topics import personal_channel
from storage.payments.top_ups_postgres import TopUpRow, lock_top_up, note_check, update_top_up

CHECK = "check_top_ups"

_log = structlog.get_logger()


async def check_top_ups(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Have the provider asked; a payment that nobody made by the last question is given up."""
    outcomes = []
    for top_up_id in sorted(dict.fromkeys(refs)):
        row = await lock_top_up(stores.db, top_up_id)
        if row is not None and _is_unsettled(row):
            outcomes.append(await _ask_again(row, stores, now_ms))
    return outcomes


def _is_unsettled(row: TopUpRow) -> bool:
    """Whether the provider may know more: what it refused to begin is over, what was given up unseen may be there."""
    if row.reference:
        return row.status in OPEN
    return row.status in {"created", "canceled"}


async def _ask_again(row: TopUpRow, stores: Stores, now_ms: int) -> Outcome:
    wait_ms = next_check_ms(row.checks + 1, is_known=bool(row.reference))
    is_abandoned = wait_ms is None and row.status in {"requires_action", "failed"}
    needs_review = wait_ms is None and not is_abandoned and row.status in OPEN
    await note_check(stores.db, row.top_up_id, row.checks + 1, needs_review=needs_review)
    events = []
    if needs_review:
        _log.error("top_up_needs_review", top_up_id=str(row.top_up_id), status=row.status)
    if is_abandoned:
        row = replace(row, status="canceled", failure="abandoned")
        await update_top_up(stores.db, row)
        events = [Event(personal_channel(row.owner_id), "top_up_changed", to_changed(row))]
    timers = [] if wait_ms is None else [Timer("check_top_ups", row.top_up_id, now_ms + wait_ms)]
    return Outcome(
        None, events=events, timers=timers, jobs=[JobRequest("payments.advance_top_up", row.top_up_id)]
    )
