"""Anchors, the transactions that were signed for them, and what is known of the chain."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from protocols.ledger.chains import Fees, Included, Place, Problem, SignedTransaction
from storage.engines.postgres import Connection
from storage.platform.sql import load

if TYPE_CHECKING:
    from asyncpg import Record

_sql = load(__file__, "anchors.sql")

AnchorStatus = Literal["sent", "mined", "anchored", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorRow:
    """An anchor."""

    anchor_id: int
    tree_size: int
    root_hash: bytes
    place: Place
    status: AnchorStatus
    nonce: int | None
    transaction: str | None
    block: int | None
    started_at_ms: int
    changed_at_ms: int


@dataclass(frozen=True, slots=True)
class SendRow:
    """A transaction that was signed for an anchor."""

    transaction: str
    raw: bytes
    fees: Fees
    at_ms: int


@dataclass(frozen=True, slots=True)
class ChainRow:
    """When a node was asked last, and what stands in the way since when."""

    looked_at_ms: int
    problem: Problem | None
    detail: str
    problem_at_ms: int


async def read_open(db: Connection) -> AnchorRow | None:
    """Return the anchor that is on its way. Cost: one index probe."""
    return _to_row(await db.fetchrow(_sql.read_open))


async def read_sends(db: Connection, anchor_id: int) -> list[SendRow]:
    """Return the transactions of an anchor in their order. Cost: one index range."""
    rows = await db.fetch(_sql.read_sends, anchor_id)
    return [
        SendRow(row["transaction"], row["raw"], Fees(int(row["fee_most"]), int(row["fee_tip"])), row["at_ms"])
        for row in rows
    ]


async def read_done(db: Connection) -> AnchorRow | None:
    """Return the final anchor of the largest tree. Cost: one index probe."""
    return _to_row(await db.fetchrow(_sql.read_done))


async def read_covering(db: Connection, tree_size: int) -> AnchorRow | None:
    """Return the final anchor of the smallest tree of at least so many entries. Cost: one index probe."""
    return _to_row(await db.fetchrow(_sql.read_covering, tree_size))


async def read_chain(db: Connection) -> ChainRow:
    """Return what is known of the chain. Cost: one round trip."""
    row = await db.fetchrow(_sql.read_chain)
    assert row is not None, "the migration wrote it"
    return ChainRow(**row)


async def read_uncovered_at(db: Connection, tree_size: int) -> int | None:
    """Return when the log first had more entries, as a checkpoint says. Cost: one index probe."""
    at_ms: int | None = await db.fetchval(_sql.read_uncovered_at, tree_size)
    return at_ms


async def insert_anchor(
    db: Connection,
    tree_size: int,
    root_hash: bytes,
    place: Place,
    status: AnchorStatus,
    nonce: int | None,
    now_ms: int,
) -> int:
    """Write an anchor and return its id. Raises UniqueViolationError while another is on its way."""
    anchor_id: int = await db.fetchval(
        _sql.insert_anchor,
        tree_size,
        root_hash,
        place.chain_id,
        place.address,
        status,
        nonce,
        now_ms,
    )
    return anchor_id


async def insert_send(
    db: Connection, anchor_id: int, signed: SignedTransaction, fees: Fees, now_ms: int
) -> None:
    """Keep a transaction before it is sent. Cost: one round trip."""
    await db.execute(_sql.insert_send, anchor_id, signed.transaction, signed.raw, fees.most, fees.tip, now_ms)


async def change_anchor(
    db: Connection, anchor_id: int, status: AnchorStatus, included: Included | None, now_ms: int
) -> None:
    """Say where an anchor is; with None in no block that is known. Cost: one round trip."""
    transaction, block = (None, None) if included is None else (included.transaction, included.block)
    await db.execute(_sql.change_anchor, anchor_id, status, None, transaction, block, now_ms)


async def fail_anchor(db: Connection, anchor_id: int, reason: str, now_ms: int) -> None:
    """Say why an anchor will not be. Cost: one round trip."""
    await db.execute(_sql.fail_anchor, anchor_id, reason, now_ms)


async def note_look(db: Connection, at_ms: int) -> None:
    """Remember that a node was asked and nothing stands in the way. Cost: one round trip."""
    await db.execute(_sql.note_look, at_ms)


async def note_problem(db: Connection, problem: Problem, detail: str, now_ms: int) -> None:
    """Remember what stands in the way. Cost: one round trip."""
    await db.execute(_sql.note_problem, problem, detail, now_ms)


def _to_row(row: "Record | None") -> AnchorRow | None:
    if row is None:
        return None
    fields = dict(row)
    place = Place(fields.pop("chain_id"), fields.pop("contract"))
    return AnchorRow(place=place, **fields)
