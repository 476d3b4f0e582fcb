"""What the worker forgets once it is old: answers, sessions, scope tokens, bidders' activity, ended auctions' watches.

A few thousand rows at a time, each lot a transaction of its own, with a pause for others; killed anywhere, the next
round goes on. Two workers may do it at once.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from handlers.auctions.signals.rules import HISTORY_MS
from protocols.values import now_instant
from storage.auctions.signals_postgres import delete_old_activity
from storage.auctions.watches_postgres import delete_old_watches
from storage.auth.scope_tokens_postgres import delete_old_scope_tokens
from storage.auth.sessions_postgres import delete_old_sessions
from storage.engines.postgres import Connection, Database
from storage.platform.idempotency_postgres import delete_old_answers

ROUND_EVERY_S = 600

ROWS_AT_ONCE = 5_000
"""Rows of one transaction: some 50 ms."""

PAUSE_S = 0.2
"""Between two lots: the database is for others most of the time."""

KEYS_KEPT_MS = 48 * 3_600_000
"""Idempotency answers are promised for 24 hours and kept for 48; expired sessions and scope tokens as long."""

WATCHES_KEPT_MS = 90 * 86_400_000
"""How long an auction that is over stays in the lists of those who watched it or bid."""

Chore = Callable[[Connection, int, int], Awaitable[int]]
"""Forgets at most so many rows that are older than an instant; returns how many it was."""

CHORES: tuple[tuple[Chore, int], ...] = (
    (delete_old_answers, KEYS_KEPT_MS),
    (delete_old_sessions, KEYS_KEPT_MS),
    (delete_old_scope_tokens, KEYS_KEPT_MS),
    (delete_old_activity, HISTORY_MS),
    (delete_old_watches, WATCHES_KEPT_MS),
)
"""Each with the age of what it forgets."""

_log = structlog.get_logger()


async def keep_house(database: Database) -> None:
    """Forget what is old, round after round, until cancelled."""
    while True:
        for chore, kept_ms in CHORES:
            try:
                await forget(database, chore, now_instant() - kept_ms, ROWS_AT_ONCE)
            except Exception:  # noqa: BLE001 - housekeeping outlives any fault; it is logged and tried again
                _log.exception("housekeeping_failed")
        await asyncio.sleep(ROUND_EVERY_S)


async def forget(database: Database, chore: Chore, before_ms: int, rows_at_once: int) -> None:
    """Forget all that is older than an instant, so many rows at a time."""
    while True:
        async with database.connection() as db:
            gone = await chore(db, before_ms, rows_at_once)
        if gone < rows_at_once:
            return
        await asyncio.sleep(PAUSE_S)
