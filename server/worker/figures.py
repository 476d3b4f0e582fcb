"""How much work waits, since when, and how much was given up: copied into metrics, by reaction and job."""

import asyncio
from collections.abc import Collection

import structlog

from protocols.errors import Fault
from protocols.values import now_instant
from server.process.metrics import Metrics
from storage.engines.postgres import Database
from storage.platform import jobs_postgres, reactions_postgres
from storage.platform.failures_postgres import count_failures

EVERY_S = 5.0

UNKNOWN = "unknown"
"""The label of what this version of the program does not know: it waits for one that does."""

_log = structlog.get_logger()


async def watch_work(database: Database, metrics: Metrics, names: Collection[str]) -> None:
    """Copy until cancelled."""
    while True:
        try:
            await copy_work(database, metrics, names)
        except Fault:
            pass
        except Exception:  # noqa: BLE001 - metrics outlive any bug; it is logged and tried again
            _log.exception("work_figures_failed")
        await asyncio.sleep(EVERY_S)


async def copy_work(database: Database, metrics: Metrics, names: Collection[str]) -> None:
    """Copy the figures of now. Raises Fault."""
    async with database.connection() as db:
        waiting = await reactions_postgres.count_waiting(db) | await jobs_postgres.count_waiting(db)
        failures = await count_failures(db)
    now_ms = now_instant()
    strangers = waiting.keys() - names
    if strangers:
        _log.warning("work_unknown", names=sorted(strangers))
    counts, oldest, given_up = dict.fromkeys([*names, UNKNOWN], 0), dict[str, int](), dict[str, int]()
    for name, (count, at_ms) in waiting.items():
        label = UNKNOWN if name in strangers else name
        counts[label] += count
        oldest[label] = min(at_ms, oldest.get(label, at_ms))
    for name, count in failures.items():
        label = name if name in names else UNKNOWN
        given_up[label] = given_up.get(label, 0) + count
    for label, count in counts.items():
        age_ms = now_ms - oldest.get(label, now_ms)
        metrics.set_work(label, count, age_ms / 1000, given_up.get(label, 0))
