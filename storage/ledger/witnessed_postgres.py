"""What the witness has seen last of each log."""

from dataclasses import dataclass

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "witnessed.sql")


@dataclass(frozen=True, slots=True)
class WitnessedLog:
    """The newest checkpoint of a log that was cosigned."""

    origin: str
    tree_size: int
    root_hash: bytes
    note: str
    """Its text, without signatures."""
    at_ms: int


async def lock_witnessed(db: Connection, origin: str, empty_root: bytes) -> WitnessedLog:
    """Return what was seen last of a log, an empty tree at first; nobody else compares until commit.

    Cost: two round trips.
    """
    await db.execute(_sql.begin_witnessed, origin, empty_root)
    row = await db.fetchrow(_sql.lock_witnessed, origin)
    assert row is not None, "it was begun"
    return WitnessedLog(**row)


async def write_witnessed(db: Connection, seen: WitnessedLog) -> None:
    """Keep what was seen of a locked log. Cost: one round trip."""
    await db.execute(_sql.write_witnessed, seen.origin, seen.tree_size, seen.root_hash, seen.note, seen.at_ms)
