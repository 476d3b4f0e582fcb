"""The transparency log's tables: the queue, entries, tiles, checkpoints."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "log.sql")

Place = tuple[int, int]
"""The level of a tile, and its index within the level."""


@dataclass(frozen=True, slots=True)
class QueuedLeaf:
    """A leaf that waits for its place."""

    leaf: bytes
    parties: list[UUID]


@dataclass(frozen=True, slots=True)
class EntryRow:
    """A leaf with its place."""

    leaf_index: int
    leaf: bytes
    parties: list[UUID]


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """A signed state of the tree."""

    tree_size: int
    root_hash: bytes
    note: str
    at_ms: int


async def take_queued(db: Connection, limit: int) -> list[QueuedLeaf]:
    """Take up to `limit` leaves off the queue, the oldest first. Cost: one round trip."""
    return [QueuedLeaf(**row) for row in await db.fetch(_sql.take_queued, limit)]


async def insert_entries(db: Connection, first_index: int, leaves: Sequence[QueuedLeaf]) -> None:
    """Write leaves as entries from an index on. Cost: one round trip (COPY)."""
    rows = [(first_index + number, queued.leaf, queued.parties) for number, queued in enumerate(leaves)]
    await db.copy_records_to_table("ledger_entries", records=rows, columns=("leaf_index", "leaf", "parties"))


async def read_entries(db: Connection, first_index: int, limit: int) -> list[EntryRow]:
    """Return up to `limit` entries from an index on. Cost: one index range."""
    return [EntryRow(**row) for row in await db.fetch(_sql.read_entries, first_index, limit)]


async def read_newest(db: Connection) -> CheckpointRow | None:
    """Return the newest checkpoint; None before the first. Cost: one index probe."""
    row = await db.fetchrow(_sql.read_newest)
    return None if row is None else CheckpointRow(**row)


async def read_checkpoint(db: Connection, tree_size: int) -> CheckpointRow | None:
    """Return the checkpoint of a tree size, if one was signed. Cost: one index probe."""
    row = await db.fetchrow(_sql.read_checkpoint, tree_size)
    return None if row is None else CheckpointRow(**row)


async def read_checkpoints(db: Connection, from_size: int, to_size: int, limit: int) -> list[CheckpointRow]:
    """Return up to `limit` checkpoints of sizes in a range, ends included, ascending. Cost: one index range."""
    rows = await db.fetch(_sql.read_checkpoints, from_size, to_size, limit)
    return [CheckpointRow(**row) for row in rows]


async def insert_checkpoint(db: Connection, row: CheckpointRow) -> None:
    """Write a checkpoint. Cost: one round trip."""
    await db.execute(_sql.insert_checkpoint, row.tree_size, row.root_hash, row.note, row.at_ms)


async def read_tiles(db: Connection, places: Collection[Place]) -> dict[Place, bytes]:
    """Return the hashes of those tiles that exist. Cost: one round trip, a probe and up to 8 KiB for each."""
    levels, indices = [level for level, _ in places], [index for _, index in places]
    rows = await db.fetch(_sql.read_tiles, levels, indices)
    return {(row["level"], row["tile_index"]): row["hashes"] for row in rows}


async def write_tiles(db: Connection, tiles: Mapping[Place, bytes]) -> None:
    """Write tiles that are new or have grown. Cost: one round trip."""
    levels, indices = [level for level, _ in tiles], [index for _, index in tiles]
    await db.execute(_sql.write_tiles, levels, indices, list(tiles.values()))


async def read_proven(db: Connection) -> int:
    """Return the first entry whose parties were not sent its proof. Cost: one round trip."""
    next_index: int = await db.fetchval(_sql.read_proven)
    return next_index


async def move_proven(db: Connection, next_index: int) -> None:
    """Remember that the parties of all entries below an index were sent their proofs. Cost: one round trip."""
    await db.execute(_sql.move_proven, next_index)
