"""Rows that are old are deleted: idempotency answers, and what each domain names in its `retention`.

A few thousand rows at a time, each batch a transaction of its own, with a pause for others; killed anywhere, the next
round goes on. Two workers may do it at once.
"""

import asyncio
from collections.abc import Sequence

import structlog

from handlers.domain import DeleteOld, Retention
from protocols.values import now_instant
from storage.engines.postgres import Database
from storage.platform.idempotency_postgres import delete_old_answers

ROUND_EVERY_S = 600

ROWS_AT_ONCE = 5_000
"""Rows of one transaction: some 50 ms."""

PAUSE_S = 0.2
"""Between two batches: the database is for others most of the time."""

ANSWERS_KEPT_MS = 48 * 3_600_000
"""Idempotency answers are promised for 24 hours."""

PLATFORM = (Retention(delete=delete_old_answers, kept_ms=ANSWERS_KEPT_MS),)

_log = structlog.get_logger()


async def delete_old_rows(database: Database, retention: Sequence[Retention]) -> None:
    """Delete what is old, round after round, until cancelled."""
    while True:
        for each in (*PLATFORM, *retention):
            try:
                await delete_all(database, each.delete, now_instant() - each.kept_ms, ROWS_AT_ONCE)
            except Exception:  # noqa: BLE001 - retention outlives any fault; it is logged and tried again
                _log.exception("retention_failed")
        await asyncio.sleep(ROUND_EVERY_S)


async def delete_all(database: Database, delete: DeleteOld, before_ms: int, rows_at_once: int) -> None:
    """Delete all that is older than an instant, so many rows at a time."""
    while True:
        async with database.connection() as db:
            gone = await delete(db, before_ms, rows_at_once)
        if gone < rows_at_once:
            return
        await asyncio.sleep(PAUSE_S)
