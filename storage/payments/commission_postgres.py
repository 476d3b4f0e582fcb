"""Versions of the commission rules as their table keeps them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from protocols.payments.commission import CommissionRule, FeeTax
from protocols.values import to_json
from storage.engines.postgres import Connection
from storage.platform.sql import load

if TYPE_CHECKING:
    from asyncpg import Record

_sql = load(__file__, "commission.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionVersionRow:
    """One version of the commission rules."""

    version: int
    effective_from_ms: int
    rules: list[CommissionRule]
    taxes: list[FeeTax]
    set_by: UUID
    set_at_ms: int


async def lock_versions(db: Connection) -> int:
    """Let nobody else add a version until commit; return the newest one's number, 0 without one.

    Cost: two round trips.
    """
    await db.execute(_sql.lock_versions)
    newest: int = await db.fetchval(_sql.read_newest)
    return newest


async def insert_version(db: Connection, row: CommissionVersionRow) -> None:
    """Write a version. Cost: one round trip."""
    rules, taxes = to_json(row.rules).decode(), to_json(row.taxes).decode()
    await db.execute(
        _sql.insert_version, row.version, row.effective_from_ms, rules, taxes, row.set_by, row.set_at_ms
    )


async def read_effective(db: Connection, at_ms: int) -> CommissionVersionRow | None:
    """Return the version that holds at an instant, or None. Cost: one probe."""
    record = await db.fetchrow(_sql.read_effective, at_ms)
    return None if record is None else _to_row(record)


async def list_versions(db: Connection, before: int, limit: int) -> list[CommissionVersionRow]:
    """Return up to `limit` versions below a number, newest first. Cost: one index range."""
    return [_to_row(record) for record in await db.fetch(_sql.list_versions, before, limit)]


def _to_row(record: "Record") -> CommissionVersionRow:
    rules = msgspec.json.decode(record["rules"], type=list[CommissionRule])
    taxes = msgspec.json.decode(record["taxes"], type=list[FeeTax])
    return CommissionVersionRow(**{**dict(record), "rules": rules, "taxes": taxes})
