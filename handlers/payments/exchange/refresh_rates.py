"""Timer and job: reference rates are read again when they are an hour old, outside any transaction."""

from collections.abc import Sequence
from uuid import UUID

import structlog

from handlers.contract import JobRequest, Outcome, Stores, Timer
from handlers.domain import Job, JobContext
from storage.payments.exchange_postgres import RatesRow, read_rates, write_rates
from storage.payments.rates_sources import Rates, RatesError, RatesSource

EVERY_MS = 300_000
"""How often it is looked whether rates are to be read; a source that was away is asked again then."""

READ_AFTER_MS = 3_600_000

_log = structlog.get_logger()


async def refresh_rates(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Have rates read when the last ones were read an hour ago."""
    rates = await read_rates(stores.db)
    is_due = rates is None or now_ms - rates.fetched_at_ms >= READ_AFTER_MS
    jobs = [JobRequest("payments.fetch_rates", refs[0])] if is_due else []
    return [Outcome(None, jobs=jobs, timers=[Timer("refresh_rates", refs[0], now_ms + EVERY_MS)])]


async def fetch_rates(_job: Job, context: JobContext) -> Rates | None:
    """Return the newest rates; None when they cannot be had now, which is logged: the timer asks again."""
    try:
        return await context.need(RatesSource).read()
    except RatesError as error:
        _log.warning("rates_not_read", reason=str(error))
        return None


async def finish_rates(_job: Job, rates: Rates | None, stores: Stores, now_ms: int) -> Outcome:
    """Keep the rates."""
    if rates is not None:
        row = RatesRow(source=rates.source, as_of_ms=rates.as_of_ms, fetched_at_ms=now_ms, rates=rates.rates)
        await write_rates(stores.db, row)
    return Outcome(None)
