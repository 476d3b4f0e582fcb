"""Escrows as their tables keep them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from storage.engines.postgres import Connection
from storage.payments.escrow_rules import Escrow, EscrowLineRow, EscrowRow
from storage.platform.copying import copy_rows
from storage.platform.sql import load

_sql = load(__file__, "escrows.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyRow:
    """Who belongs to an escrow."""

    user_id: UUID
    escrow_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """A step that was taken, as it was asked for."""

    step_id: UUID
    escrow_id: UUID
    version: int
    step: str
    amount_minor: int
    at_ms: int


async def lock_openings(db: Connection, escrow_ids: Iterable[UUID]) -> None:
    """Let nobody else open these escrows until commit. Cost: one round trip."""
    await db.fetch(_sql.lock_openings, list(escrow_ids))


async def lock_escrows(db: Connection, escrow_ids: Iterable[UUID]) -> dict[UUID, Escrow]:
    """Return the escrows that exist; nobody else moves them until commit. Cost: two round trips."""
    rows = [EscrowRow(**row) for row in await db.fetch(_sql.lock_escrows, list(escrow_ids))]
    return {escrow.row.escrow_id: escrow for escrow in await _with_lines(db, rows)}


async def read_escrow(db: Connection, escrow_id: UUID) -> Escrow | None:
    """Return an escrow as of now, or None. Cost: two round trips, no lock."""
    row = await db.fetchrow(_sql.read_escrow, escrow_id)
    return None if row is None else (await _with_lines(db, [EscrowRow(**row)]))[0]


async def list_escrows(db: Connection, user_id: UUID, before: UUID, limit: int) -> list[Escrow]:
    """Return up to `limit` escrows of a party before an id, newest first. Cost: two round trips."""
    rows = await db.fetch(_sql.list_escrows, user_id, before, limit)
    return await _with_lines(db, [EscrowRow(**row) for row in rows])


async def _with_lines(db: Connection, rows: Sequence[EscrowRow]) -> list[Escrow]:
    if not rows:
        return []
    lines: defaultdict[UUID, list[EscrowLineRow]] = defaultdict(list)
    for record in await db.fetch(_sql.read_lines, [row.escrow_id for row in rows]):
        lines[record["escrow_id"]].append(EscrowLineRow(**record))
    return [Escrow(row=row, lines=tuple(lines[row.escrow_id])) for row in rows]


async def read_steps(db: Connection, step_ids: Iterable[UUID]) -> dict[UUID, tuple[str, int]]:
    """Return what was asked under these ids, and how much it moved. Cost: one round trip."""
    rows = await db.fetch(_sql.read_steps, list(step_ids))
    return {row["step_id"]: (row["step"], row["amount_minor"]) for row in rows}


async def insert_escrows(db: Connection, escrows: Sequence[Escrow]) -> None:
    """Write new escrows with lines and parties. Cost: three round trips."""
    await copy_rows(db, "escrows", [one.row for one in escrows], tuple(EscrowRow.__dataclass_fields__))
    lines = [line for one in escrows for line in one.lines]
    await copy_rows(db, "escrow_lines", lines, tuple(EscrowLineRow.__dataclass_fields__))
    parties = [
        PartyRow(user_id=user_id, escrow_id=one.row.escrow_id) for one in escrows for user_id in one.parties
    ]
    await copy_rows(db, "escrow_parties", parties, tuple(PartyRow.__dataclass_fields__))


async def update_escrows(db: Connection, escrows: Sequence[Escrow]) -> None:
    """Write locked escrows and their lines. Cost: two round trips."""
    rows = [one.row for one in escrows]
    values = [
        (r.escrow_id, r.released_minor, r.refunded_minor, r.status, r.ends_at_ms, r.frozen_at_ms, r.version)
        for r in rows
    ]
    await db.execute(_sql.update_escrows, *map(list, zip(*values, strict=True)))
    lines = [(n.escrow_id, n.line, n.released_minor, n.refunded_minor) for one in escrows for n in one.lines]
    await db.execute(_sql.update_lines, *map(list, zip(*lines, strict=True)))


async def insert_steps(db: Connection, rows: Sequence[StepRow]) -> None:
    """Write steps that were taken. Cost: one round trip."""
    await copy_rows(db, "escrow_steps", rows, tuple(StepRow.__dataclass_fields__))
