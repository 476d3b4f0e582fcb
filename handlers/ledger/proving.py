"""Proofs of entries, for those who ask and, by a loop, for the parties of every new one."""

from collections.abc import Sequence

from handlers.contract import Event, Outcome, Stores
from handlers.domain import Figure, GaugeKind, LoopTurn
from handlers.ledger.merkle import inclusion_ranges
from handlers.ledger.proofs import write_proof
from handlers.ledger.tiles import Hashes, tiles_of
from protocols.ledger.events import ProofReady
from protocols.ledger.leaves import read_entry_id
from protocols.topics import personal_channel
from storage.engines.postgres import Connection
from storage.ledger import log_postgres
from storage.ledger.log_postgres import CheckpointRow, EntryRow

ENTRIES_MAX = 200
"""Entries of one turn: about 20 ms."""

PAUSE_S = 0.1

GAUGES = (GaugeKind(name="ledger_unproven", meaning="Entries whose parties were not sent their proofs yet"),)


async def send_proofs(stores: Stores, now_ms: int) -> LoopTurn:  # noqa: ARG001 - of what is there
    """Send the parties of the next entries their proofs, each once."""
    first = await log_postgres.read_proven(stores.db)
    newest = await log_postgres.read_newest(stores.db)
    waiting = 0 if newest is None else newest.tree_size - first
    if newest is None or not waiting:
        return LoopTurn(figures=[Figure("ledger_unproven", 0)])
    rows = await log_postgres.read_entries(stores.db, first, min(waiting, ENTRIES_MAX))
    proven = [row for row in rows if row.parties]
    hashes = await read_hashes(stores.db, [row.leaf_index for row in proven], newest.tree_size)
    events = [event for row in proven for event in _events(row, newest, hashes)]
    await log_postgres.move_proven(stores.db, first + len(rows))
    left = waiting - len(rows)
    return LoopTurn(
        outcomes=[Outcome(None, events)], figures=[Figure("ledger_unproven", left)], again=left > 0
    )


def _events(row: EntryRow, newest: CheckpointRow, hashes: Hashes) -> list[Event]:
    proof = prove(row.leaf_index, newest, hashes, row.leaf)
    ready = ProofReady(entry=read_entry_id(row.leaf), index=row.leaf_index, proof=proof)
    return [Event(personal_channel(party), "proof_ready", ready) for party in row.parties]


async def read_hashes(db: Connection, indices: Sequence[int], size: int) -> Hashes:
    """Return the hashes of which proofs of some entries are made, in the tree of a size. Cost: one round trip."""
    places = set().union(*(tiles_of(inclusion_ranges(index, size)) for index in indices))
    return Hashes(await log_postgres.read_tiles(db, places) if places else {})


def prove(index: int, checkpoint: CheckpointRow, hashes: Hashes, leaf: bytes | None) -> str:
    """Return the file that proves an entry's place in the tree of a checkpoint. Raises MissingTileError."""
    path = [hashes.of(start, end) for start, end in inclusion_ranges(index, checkpoint.tree_size)]
    return write_proof(index, path, checkpoint.note, leaf)
