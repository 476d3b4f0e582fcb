"""How much users may lead with in guarded auctions, and how much they do: one row per user and currency."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "exposures.sql")

Pair = tuple[UUID, str]
"""A user and a currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureRow:
    """How much a user leads with in one currency."""

    user_id: UUID
    currency: str
    limit_minor: int | None
    """None: the default limit."""
    used: int


async def lock_exposures(db: Connection, pairs: Iterable[Pair]) -> list[ExposureRow]:
    """Return the row of each pair, locked until commit.

    Cost: one round trip, two when a pair is new. Locks: the rows in the order of users, after those of auctions.
    """
    wanted = list(set(pairs))
    if not wanted:
        return []
    columns = [list(column) for column in zip(*wanted, strict=True)]
    rows = await db.fetch(_sql.lock_exposures, *columns) or await db.fetch(_sql.make_exposures, *columns)
    return [ExposureRow(**row) for row in rows]


async def change_used(db: Connection, changes: Mapping[Pair, int]) -> None:
    """Add to what users lead with. Cost: one round trip if any. Locks: the rows in the order of users."""
    rows = [(*pair, change) for pair, change in changes.items() if change]
    if rows:
        await db.execute(_sql.change_used, *map(list, zip(*rows, strict=True)))


async def set_exposure_limit(db: Connection, user_id: UUID, currency: str, limit: int | None) -> ExposureRow:
    """Write a limit, None for the default; return the row. Cost: one round trip. Locks: the row."""
    row = await db.fetchrow(_sql.set_exposure_limit, user_id, currency, limit)
    if row is None:
        raise AssertionError("an upsert returns its row")
    return ExposureRow(**row)


async def read_exposure(db: Connection, user_id: UUID, currency: str) -> ExposureRow | None:
    """Return the row of a user, or None. Cost: one primary key probe, no lock."""
    row = await db.fetchrow(_sql.read_exposure, user_id, currency)
    return ExposureRow(**row) if row else None
