"""Loop: queued leaves get their places, and the tree they make is signed.

Entries, tiles and the checkpoint over them are one transaction, so whoever sees a checkpoint finds what it is about.
Nothing is signed unless the tree that is stored is the one that was signed last.
"""

from handlers.contract import Stores
from handlers.domain import Figure, GaugeKind, LoopTurn
from handlers.ledger.keys import LedgerKeys
from handlers.ledger.merkle import EMPTY_ROOT, add_leaves, fold, leaf_hash
from handlers.ledger.notes import read_note, sign_checkpoint
from handlers.ledger.tiles import Hashes, edge_of, grow
from storage.engines.postgres import Connection
from storage.ledger import log_postgres
from storage.ledger.log_postgres import CheckpointRow, QueuedLeaf

LEAVES_MAX = 1_000
"""Leaves of one turn: about 20 ms."""

PAUSE_S = 0.25
"""What gathers meanwhile shares a checkpoint; four turns fit into the second that a leaf may wait."""

GAUGES = (GaugeKind(name="ledger_entries", meaning="Entries of the transparency log"),)


class LogDamagedError(Exception):
    """The stored tree is not the one that was signed last; nothing is signed until that is mended."""


async def sequence_leaves(stores: Stores, now_ms: int) -> LoopTurn:
    """Make entries of the oldest queued leaves and sign the tree. Raises LogDamagedError."""
    keys = stores.need(LedgerKeys)
    newest = await log_postgres.read_newest(stores.db)
    if newest is None:
        await _sign(stores.db, keys, 0, EMPTY_ROOT, now_ms)
        return LoopTurn(figures=[Figure("ledger_entries", 0)], again=True)
    queued = await log_postgres.take_queued(stores.db, LEAVES_MAX)
    size = newest.tree_size
    if queued:
        await _append(stores.db, keys, newest, queued, now_ms)
        size += len(queued)
    return LoopTurn(figures=[Figure("ledger_entries", size)], again=len(queued) == LEAVES_MAX)


async def _append(
    db: Connection, keys: LedgerKeys, newest: CheckpointRow, queued: list[QueuedLeaf], now_ms: int
) -> None:
    size = newest.tree_size
    if not read_note(newest.note).is_signed_by(keys.log.key):
        raise LogDamagedError(f"the checkpoint of size {size} is not signed by {keys.log.key.vkey}")
    edge = await log_postgres.read_tiles(db, edge_of(size))
    frontier = Hashes(edge).frontier(size)
    if fold(frontier) != newest.root_hash:
        raise LogDamagedError(f"the tiles do not have the root that was signed at size {size}")
    hashes = [leaf_hash(each.leaf) for each in queued]
    await log_postgres.insert_entries(db, size, queued)
    await log_postgres.write_tiles(db, grow(edge, size, hashes))
    await _sign(db, keys, size + len(queued), fold(add_leaves(frontier, size, hashes)), now_ms)


async def _sign(db: Connection, keys: LedgerKeys, size: int, root: bytes, now_ms: int) -> None:
    note = sign_checkpoint(keys.origin, size, root, keys.log)
    await log_postgres.insert_checkpoint(db, CheckpointRow(size, root, note, now_ms))
