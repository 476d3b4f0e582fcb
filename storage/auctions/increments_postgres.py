"""The increment tables of currencies: append-only versions."""

from uuid import UUID

from asyncpg import Record

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "increments.sql")


async def lock_tables(db: Connection, currency: str) -> None:
    """Let nobody else change this currency's tables until commit. Cost: one round trip."""
    await db.execute(_sql.lock_tables, currency)


async def read_newest(db: Connection, currency: str) -> Record | None:
    """Return (version, step_limits, steps, set_at_ms) of the newest table, or None. Cost: one probe."""
    return await db.fetchrow(_sql.read_newest, currency)


async def insert_table(
    db: Connection,
    currency: str,
    version: int,
    table: tuple[tuple[int, ...], tuple[int, ...]],
    set_by: UUID,
    set_at_ms: int,
) -> None:
    """Write a version: `table` is limits and steps. Cost: one round trip."""
    await db.execute(_sql.insert_table, currency, version, *table, set_by, set_at_ms)


async def list_tables(db: Connection, currency: str, before: int, limit: int) -> list[Record]:
    """Return up to `limit` versions below `before`, descending, rows as `read_newest`. Cost: one index range."""
    return await db.fetch(_sql.list_tables, currency, before, limit)
