"""How far the auditor of the log is, and what it found."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "audit.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """A pass under way."""

    pass_number: int
    next_index: int
    """Entries below it have been read."""
    frontier: bytes
    """The perfect subtrees over them, from left to right."""
    checkpoint_size: int
    """Checkpoints up to this size have been checked; -1: none."""
    started_at_ms: int
    """0: the pass has not begun."""
    passed_at_ms: int
    """When the pass before ended; 0: there was none."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A place of the log that does not fit the others."""

    part: str
    """leaf, tile, checkpoint."""
    place: int
    """The index of a leaf, the first leaf below a hash of a tile, the size of a checkpoint."""
    detail: str


@dataclass(frozen=True, slots=True)
class Differences:
    """What is known to be wrong with a part."""

    part: str
    places: int
    first_place: int
    of_pass: int
    """How many of them this pass has found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """What there is of the log."""

    signed_size: int
    entries: int
    waiting_since_ms: int | None
    """When the oldest leaf was queued that has no place yet; None: all have one."""


async def read_audit(db: Connection) -> tuple[AuditRow, LogState]:
    """Return how far the auditor is, and what there is to audit, of one snapshot. Cost: one round trip."""
    found = await db.fetchrow(_sql.read_audit)
    assert found is not None, "the migration wrote the row"
    row = dict(found)
    state = LogState(**{field.name: row.pop(field.name) for field in fields(LogState)})
    return AuditRow(**row), state


async def write_audit(db: Connection, row: AuditRow) -> None:
    """Keep how far the auditor is. Cost: one round trip."""
    await db.execute(_sql.write_audit, *(getattr(row, field.name) for field in fields(row)))


async def write_differences(
    db: Connection, found: Sequence[Difference], pass_number: int, now_ms: int
) -> list[Difference]:
    """Keep what does not fit; return what was not known before. Cost: one round trip."""
    parts, places, details = [[getattr(one, name) for one in found] for name in Difference.__slots__]
    rows = await db.fetch(_sql.write_differences, parts, places, details, pass_number, now_ms)
    return [Difference(**row) for row in rows]


async def forget_mended(db: Connection, pass_number: int) -> None:
    """Forget what a pass that has ended did not find again. Cost: one round trip."""
    await db.execute(_sql.forget_mended, pass_number)


async def read_differences(db: Connection, pass_number: int) -> list[Differences]:
    """Return what is known to be wrong, by part. Cost: one round trip."""
    return [Differences(**row) for row in await db.fetch(_sql.read_differences, pass_number)]
