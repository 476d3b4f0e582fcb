"""How much users may lead with in guarded auctions, and how much they do: one row per user and currency."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from asyncpg import Record

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "exposures.sql")

Pair = tuple[UUID, str]
"""A user and a currency."""


async def lock_exposures(db: Connection, pairs: Iterable[Pair]) -> list[Record]:
    """Return (user_id, currency, limit_minor or None, used) of each pair, locked until commit.

    Cost: one round trip, two when a pair is new. Locks: the rows in the order of users, after those of auctions.
    """
    wanted = list(set(pairs))
    if not wanted:
        return []
    columns = [list(column) for column in zip(*wanted, strict=True)]
    return await db.fetch(_sql.lock_exposures, *columns) or await db.fetch(_sql.make_exposures, *columns)


async def change_used(db: Connection, changes: Mapping[Pair, int]) -> None:
    """Add to what users lead with. Cost: one round trip if any. Locks: the rows in the order of users."""
    rows = [(*pair, change) for pair, change in changes.items() if change]
    if rows:
        await db.execute(_sql.change_used, *map(list, zip(*rows, strict=True)))


async def set_exposure_limit(db: Connection, user_id: UUID, currency: str, limit: int | None) -> Record:
    """Write a limit, None for the default; return (limit_minor, used). Cost: one round trip. Locks: the row."""
    row = await db.fetchrow(_sql.set_exposure_limit, user_id, currency, limit)
    if row is None:
        raise AssertionError("an upsert returns its row")
    return row


async def read_exposure(db: Connection, user_id: UUID, currency: str) -> Record | None:
    """Return (limit_minor, used) of a user, None when there is no row. Cost: one primary key probe, no lock."""
    return await db.fetchrow(_sql.read_exposure, user_id, currency)
