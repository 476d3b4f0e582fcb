"""The increment tables of currencies: append-only versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "increments.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class IncrementTableRow:
    """One version of a currency's increment table: `steps[i]` applies below `step_limits[i]`."""

    version: int
    step_limits: Sequence[int]
    steps: Sequence[int]
    set_at_ms: int


async def lock_tables(db: Connection, currency: str) -> None:
    """Let nobody else change this currency's tables until commit. Cost: one round trip."""
    await db.execute(_sql.lock_tables, currency)


async def read_newest(db: Connection, currency: str) -> IncrementTableRow | None:
    """Return the newest table, or None. Cost: one probe."""
    row = await db.fetchrow(_sql.read_newest, currency)
    return IncrementTableRow(**row) if row else None


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


async def list_tables(db: Connection, currency: str, before: int, limit: int) -> list[IncrementTableRow]:
    """Return up to `limit` versions below `before`, descending. Cost: one index range."""
    rows = await db.fetch(_sql.list_tables, currency, before, limit)
    return [IncrementTableRow(**row) for row in rows]
