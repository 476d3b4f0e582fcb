"""Rules of prohibited and restricted goods: every version of each, and which ones goods fall under."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from protocols.listings.goods import RuleKind
from protocols.texts import FOLD_VERSION, fold, fold_query, looks_like, unmask
from storage.engines.postgres import Connection
from storage.platform.sql import load

if TYPE_CHECKING:
    from asyncpg import Record

_sql = load(__file__, "goods.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRow:
    """One version of a rule."""

    rule_id: UUID
    version: int
    removed: bool
    country: str
    category: str | None
    words: str
    kind: RuleKind
    reason: str
    source: str
    set_at_ms: int


async def read_matching_rules(
    db: Connection, countries: Sequence[str], category: str | None, text: str, limit: int
) -> "list[Record]":
    """Return (rule_id, kind, country, reason, source) of rules that goods fall under, prohibitions first.

    Words of letters, digits and signs that look like Latin letters, or that are spelt apart, are judged as they are and
    as they look. Cost: one round trip, one look at each rule of the countries.
    """
    folded = fold(text)
    looks = unmask(folded)
    readings = f"{'' if looks == folded else looks} {looks_like(text)}"
    return await db.fetch(_sql.read_matching_rules, list(countries), category, folded, limit, readings)


async def list_rules(db: Connection, after: UUID, country: str | None, limit: int) -> list[RuleRow]:
    """Return rules that hold above an id, ascending. Cost: one index range."""
    return [RuleRow(**row) for row in await db.fetch(_sql.list_rules, after, country, limit)]


async def read_versions(db: Connection, rule_id: UUID, limit: int) -> list[RuleRow]:
    """Return versions of a rule, newest first. Cost: one index range."""
    return [RuleRow(**row) for row in await db.fetch(_sql.read_versions, rule_id, limit)]


async def lock_rules(db: Connection) -> None:
    """Let nobody else change rules until commit. Cost: one round trip."""
    await db.execute(_sql.lock_rules)


async def count_rules(db: Connection) -> int:
    """Return how many rules hold. Cost: one index scan."""
    return int(await db.fetchval(_sql.count_rules))


async def insert_version(db: Connection, row: RuleRow, set_by: UUID) -> None:
    """Make this the newest version of its rule; the rules are locked. Cost: two round trips."""
    await db.execute(_sql.retire_version, row.rule_id)
    await db.execute(
        _sql.insert_version,
        row.rule_id,
        row.version,
        row.removed,
        row.country,
        row.category,
        row.words,
        row.kind,
        row.reason,
        row.source,
        row.set_at_ms,
        set_by,
        fold_query(row.words),
        FOLD_VERSION,
    )


async def fold_rules(db: Connection, limit: int) -> int:
    """Fold versions of rules that another version of the spelling folded; return how many. Cost: two round trips."""
    rows = await db.fetch(_sql.list_unfolded, FOLD_VERSION, limit)
    ids, versions = [row["rule_id"] for row in rows], [row["version"] for row in rows]
    await db.execute(
        _sql.write_folded, ids, versions, [fold_query(row["words"]) for row in rows], FOLD_VERSION
    )
    return len(rows)
