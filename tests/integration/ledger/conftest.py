"""The transparency log on real engines, its loops turned by hand."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest_asyncio

from handlers import ledger
from handlers.ledger.anchoring.chain import Chain
from handlers.ledger.keys import LedgerKeys
from protocols.payments.postings import Transfer
from protocols.values import new_id
from storage.payments.posting_rules import available
from tests.support.domains import Market, open_market
from tests.support.money import book, top_up, transfer


class Log(Market):
    """A market with nothing but the log, and ways to fill and to damage it."""

    keys: LedgerKeys
    tools: dict[type, Any]
    secrets: Path
    pool: asyncpg.Pool

    async def move(self, count: int, payer: UUID | None = None) -> list[Transfer]:
        """Move money so many times from one person to a new one, in a few transactions; return the transfers."""
        ann, bob = available(payer or new_id(), "EUR"), available(new_id(), "EUR")
        moved = [top_up(ann.owner_id, 10_000), *(transfer(ann, bob, 1) for _ in range(count - 1))]
        for start in range(0, count, 100):
            await book(self.database, *([one] for one in moved[start : start + 100]))
        return moved

    async def sequence(self) -> None:
        await self.run_loop("ledger.sequence_leaves")

    async def empty(self) -> None:
        """Take the log back to its beginning."""
        tables = "ledger_queue, ledger_entries, ledger_tiles, ledger_checkpoints, ledger_differences, ledger_witnessed"
        tables += ", ledger_anchor_sends, ledger_anchors, jobs"
        async with self.damaging() as db:
            await db.execute(f"TRUNCATE {tables}")
            await db.execute("UPDATE ledger_proven SET next_index = 0")
            await db.execute("UPDATE ledger_chain SET looked_at_ms = 0, problem = NULL, detail = ''")
            await db.execute(
                "UPDATE ledger_audit SET pass_number = 1, next_index = 0, frontier = '', checkpoint_size = -1,"
                " started_at_ms = 0, passed_at_ms = 0"
            )

    def damaging(self) -> "Damage":
        """Return a connection on which no trigger keeps rows as they are."""
        return Damage(self.pool)


class Damage:
    """A connection of somebody who may do anything to the tables."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def __aenter__(self) -> asyncpg.Connection:
        self._db = await self._pool.acquire()
        await self._db.execute("SET session_replication_role = replica")
        return self._db

    async def __aexit__(self, *_: object) -> None:
        await self._db.execute("SET session_replication_role = DEFAULT")
        await self._pool.release(self._db)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened_log(database, redis, pool, tmp_path_factory) -> AsyncIterator[Log]:
    secrets = tmp_path_factory.mktemp("secrets")
    keys = LedgerKeys(secrets, "https://market.example:8443/base/")
    tools = {LedgerKeys: keys, Chain: Chain(None, "", "")}
    async with open_market((ledger.DOMAIN,), database, redis, tools) as market:
        market.__class__ = Log
        market.tools = tools
        market.keys, market.pool, market.secrets = keys, pool, secrets
        yield market


@pytest_asyncio.fixture(loop_scope="module")
async def log(opened_log: Log) -> Log:
    """The log, empty."""
    await opened_log.empty()
    opened_log.published.clear()
    opened_log.figures.clear()
    return opened_log


async def leaves_of(pool: asyncpg.Pool) -> Sequence[asyncpg.Record]:
    """Return all entries in order, checked to be without gaps."""
    rows = await pool.fetch("SELECT * FROM ledger_entries ORDER BY leaf_index")
    assert [row["leaf_index"] for row in rows] == list(range(len(rows)))
    return rows
