"""Timer and job: each day's movements at the provider are compared with what we booked.

The timer begins the report of the day that ended and sets itself for the next; the job reads both books, outside of any
transaction, and its end writes the report. Killed at any point, the job is run again and reads them anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import structlog

from handlers.contract import JobRequest, Outcome, Stores, Timer
from handlers.domain import Job, JobContext
from handlers.payments.checks import DAY_MS, HOUR_MS
from handlers.payments.reconciling.rules import find_differences
from handlers.payments.tools import PaymentTools
from protocols.payments.reconciliations import Difference
from protocols.values import new_id
from storage.payments.reconciliations_postgres import (
    finish_report,
    insert_report,
    read_booked,
    read_running_day,
)

AFTER_MIDNIGHT_MS = HOUR_MS
"""How long after the end of a day (UTC) it is compared: webhooks of its last minutes have come."""

DAYS_MAX = 7
"""So many days are made up for when no worker ran."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison found."""

    day: date
    movements: int
    differences: list[Difference]


async def reconcile_days(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Begin the reports of the days that ended and have none; ring again after the next midnight."""
    today = datetime.fromtimestamp((now_ms - AFTER_MIDNIGHT_MS) / 1000, UTC).date()
    jobs = []
    for back in range(DAYS_MAX, 0, -1):
        report_id = new_id()
        if await insert_report(stores.db, report_id, today - timedelta(days=back), now_ms):
            jobs.append(JobRequest("payments.reconcile", report_id))
    due_at_ms = day_begin_ms(today + timedelta(days=1)) + AFTER_MIDNIGHT_MS
    return [Outcome(None, jobs=jobs, timers=[Timer("reconcile_days", refs[0], due_at_ms)])]


async def reconcile(job: Job, context: JobContext) -> Compared | None:
    """Return how a day differs; None when its report is done. Raises TemporarilyUnavailable."""
    async with context.connection() as db:
        day = await read_running_day(db, job.ref)
    if day is None:
        return None
    since_ms = day_begin_ms(day)
    until_ms = since_ms + DAY_MS
    listed = context.need(PaymentTools).provider.list_movements(since_ms - DAY_MS, until_ms + DAY_MS)
    movements = [movement async for movement in listed]
    inside = [m for m in movements if since_ms <= m.at_ms < until_ms]
    async with context.connection() as db:
        booked = await read_booked(db, since_ms, until_ms, [m.source for m in inside])
    return Compared(day, len(inside), find_differences(movements, booked, since_ms, until_ms))


async def finish_reconciling(job: Job, found: Compared | None, stores: Stores, now_ms: int) -> Outcome:
    """Write the report, and each difference into the log."""
    if found is not None and await finish_report(
        stores.db, job.ref, found.movements, found.differences, now_ms
    ):
        for difference in found.differences:
            _log.error(
                "reconciliation_difference",
                day=found.day.isoformat(),
                kind=difference.kind,
                source=difference.source,
                own_id=str(difference.own_id),
                provider_amount=difference.provider_amount,
                our_amount=difference.our_amount,
                currency=difference.currency,
            )
        _log.info(
            "reconciled",
            day=found.day.isoformat(),
            movements=found.movements,
            differences=len(found.differences),
        )
    return Outcome(None)


def day_begin_ms(day: date) -> int:
    """Return the instant at which a day begins in UTC."""
    return int(datetime.combine(day, time(), UTC).timestamp() * 1000)
