"""What operators have to hear of money: differences from the provider's books, and what a person has to look at."""

import asyncio

import structlog

from protocols.errors import Fault
from server.process.metrics import Metrics
from storage.engines.postgres import Database
from storage.payments.reconciliations_postgres import count_differences, count_for_review

EVERY_S = 15.0

_log = structlog.get_logger()


async def watch_money(database: Database, metrics: Metrics) -> None:
    """Copy the figures into metrics until cancelled."""
    while True:
        try:
            async with database.connection() as db:
                metrics.reconciliation_differences.set(await count_differences(db))
                metrics.payments_for_review.set(await count_for_review(db))
        except Fault:
            pass
        except Exception:  # noqa: BLE001 - metrics outlive any bug; it is logged and tried again
            _log.exception("money_figures_failed")
        await asyncio.sleep(EVERY_S)
