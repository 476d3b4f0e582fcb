"""Loop: the auditor. It hashes every leaf again and compares all that the log consists of.

That is: leaves with tiles, tiles with one another, both with every checkpoint, every checkpoint with its signature. A
pass goes from the first entry to the last, a bounded piece a turn, and keeps its place; the next one begins a moment
after. A proof of consistency notices no byte of a leaf that was changed under a tree that was not: this does. What was
found stays an alarm until a whole pass does not find it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

import structlog

from handlers.contract import Stores
from handlers.domain import Figure, GaugeKind, LoopTurn
from handlers.ledger.keys import LedgerKeys
from handlers.ledger.merkle import HASH_BYTES, add_leaves, fold, leaf_hash
from handlers.ledger.notes import BadNoteError, Checkpoint, read_note
from handlers.ledger.tiles import HEIGHT, Place, tile_of
from storage.engines.postgres import Connection
from storage.ledger import audit_postgres
from storage.ledger.audit_postgres import AuditRow, Difference, LogState
from storage.ledger.log_postgres import CheckpointRow, EntryRow, read_checkpoints, read_entries, read_tiles

LEAVES_MAX = 500
"""Leaves of one turn: about 6 ms."""

CHECKPOINTS_MAX = 50
"""Checkpoints of one turn: about 7 ms of signatures."""

PAUSE_S = 0.25
"""Between two turns: the auditor takes a twentieth of a processor."""

REST_MS = 10_000
"""Between two passes."""

KEPT_MAX = 20
"""Differences of a pass that are kept: the first tell where to look, and one wrong leaf makes many roots wrong."""

PARTS = ("leaf", "tile", "checkpoint")

GAUGES = (
    GaugeKind(name="ledger_queue_oldest_seconds", meaning="Age of the oldest leaf that has no place yet"),
    GaugeKind(name="ledger_audit_lag_leaves", meaning="Entries that the auditor's pass has still to check"),
    GaugeKind(
        name="ledger_audit_lag_seconds", meaning="Since the auditor last ended a pass over the whole log"
    ),
    GaugeKind(name="ledger_audit_leaves_per_second", meaning="How fast the auditor checked its last leaves"),
    GaugeKind(
        name="ledger_audit_differences",
        meaning="Places of the log that do not fit the others; more than 0 is an alarm",
        label="part",
    ),
    GaugeKind(
        name="ledger_audit_first_difference",
        meaning="The first of them: an index of a leaf, of the first leaf below a tile's hash, a size; -1: none",
        label="part",
    ),
)

_log = structlog.get_logger()


@dataclass(slots=True)
class _Piece:
    """What one turn has read and found."""

    frontier: list[bytes]
    size: int
    made: list[tuple[int, int, bytes]] = field(default_factory=list)
    """Hashes that tiles have: height, index, hash."""
    found: list[Difference] = field(default_factory=list)

    def add(self, rows: Sequence[EntryRow]) -> None:
        """Go on by some entries."""
        hashes = [leaf_hash(row.leaf) for row in rows]
        self.frontier = add_leaves(self.frontier, self.size, hashes, self._visit)
        self.size += len(rows)

    def _visit(self, height: int, index: int, hashed: bytes) -> None:
        if height % HEIGHT == 0:
            self.made.append((height, index, hashed))


async def audit_log(stores: Stores, now_ms: int) -> LoopTurn:
    """Check the next piece of the log; end the pass where the log ends."""
    row, state = await audit_postgres.read_audit(stores.db)
    signed_size, entries = state.signed_size, state.entries
    if not row.started_at_ms and now_ms - row.passed_at_ms < REST_MS:
        return LoopTurn(figures=await _figures(stores.db, row, state, now_ms))
    started = perf_counter()
    begun = replace(row, started_at_ms=row.started_at_ms or now_ms)
    if len(row.frontier) != HASH_BYTES * row.next_index.bit_count():  # somebody changed the auditor's own row
        begun = replace(begun, next_index=0, frontier=b"", checkpoint_size=-1)
    piece, end = await _check_piece(stores, begun, signed_size)
    seconds, read = perf_counter() - started, piece.size - begun.next_index
    if end == signed_size != entries:
        wrong = f"there are {entries} entries, and {signed_size} were signed"
        piece.found.append(Difference("leaf", min(entries, signed_size), wrong))
    await _keep(stores.db, piece.found, row.pass_number, now_ms)
    row = await _move(stores.db, begun, piece, end, signed_size, now_ms)
    figures = await _figures(stores.db, row, state, now_ms)
    if read:
        figures.append(Figure("ledger_audit_leaves_per_second", read / seconds))
    return LoopTurn(figures=figures)


async def _move(
    db: Connection, row: AuditRow, piece: _Piece, end: int, signed_size: int, now_ms: int
) -> AuditRow:
    """Keep where the pass is. Where an entry is missing, nothing behind it can be checked, and a new pass begins."""
    if piece.size == end < signed_size:
        frontier = b"".join(piece.frontier)
        row = replace(row, next_index=end, frontier=frontier, checkpoint_size=end)
    else:
        is_whole = piece.size == end
        if is_whole:
            await audit_postgres.forget_mended(db, row.pass_number)
        row = AuditRow(
            pass_number=row.pass_number + 1,
            next_index=0,
            frontier=b"",
            checkpoint_size=-1,
            started_at_ms=0,
            passed_at_ms=now_ms if is_whole else row.passed_at_ms,
        )
    await audit_postgres.write_audit(db, row)
    return row


async def _check_piece(stores: Stores, row: AuditRow, signed_size: int) -> tuple[_Piece, int]:
    """Check the next entries, and the checkpoints that end among them; return also where the piece should end."""
    db, keys = stores.db, stores.need(LedgerKeys)
    end = min(row.next_index + LEAVES_MAX, signed_size)
    checkpoints = await read_checkpoints(db, row.checkpoint_size + 1, end, CHECKPOINTS_MAX)
    if len(checkpoints) == CHECKPOINTS_MAX:
        end = checkpoints[-1].tree_size
    rows = await read_entries(db, row.next_index, end - row.next_index) if end > row.next_index else []
    there = [entry for place, entry in enumerate(rows, row.next_index) if entry.leaf_index == place]
    frontier = [row.frontier[at : at + HASH_BYTES] for at in range(0, len(row.frontier), HASH_BYTES)]
    piece = _Piece(frontier, row.next_index)
    at = 0
    for checkpoint in checkpoints:
        count = checkpoint.tree_size - row.next_index
        piece.add(there[at:count])
        at = count
        piece.found += _check_checkpoint(checkpoint, piece, keys)
    piece.add(there[at:])
    piece.found += await _check_tiles(db, piece)
    if piece.size < end:
        piece.found.append(Difference("leaf", piece.size, "the entry is missing"))
    return piece, end


def _check_checkpoint(row: CheckpointRow, piece: _Piece, keys: LedgerKeys) -> list[Difference]:
    """Return what is wrong with a checkpoint, given the tree of its size."""
    said = Checkpoint(keys.origin, row.tree_size, row.root_hash)
    wrong = ""
    try:
        note = read_note(row.note)
    except BadNoteError as error:
        wrong = f"its note cannot be read: {error}"
    else:
        if note.text != said.text:
            wrong = "its note says something else than its row"
        elif not note.is_signed_by(keys.log.key):
            wrong = "its signature is wrong"
        elif piece.size != row.tree_size or fold(piece.frontier) != row.root_hash:
            wrong = "its root is not that of the leaves"
    return [Difference("checkpoint", row.tree_size, wrong)] if wrong else []


async def _check_tiles(db: Connection, piece: _Piece) -> list[Difference]:
    """Return which hashes of tiles are not those of what is below them. Cost: one round trip."""
    slots: list[tuple[Place, int, int, bytes]] = []
    for height, index, hashed in piece.made:
        place, slot, _ = tile_of(height, index)
        slots.append((place, slot, index << height, hashed))
    tiles = await read_tiles(db, {place for place, *_ in slots}) if slots else {}
    found = []
    for place, slot, first_leaf, hashed in slots:
        if tiles.get(place, b"")[slot * HASH_BYTES : (slot + 1) * HASH_BYTES] != hashed:
            level, index = place
            where = f"hash {slot} of tile {index} of level {level} is not that of what is below it"
            found.append(Difference("leaf" if level == 0 else "tile", first_leaf, where))
    return found


async def _keep(db: Connection, found: Sequence[Difference], pass_number: int, now_ms: int) -> None:
    """Keep the first differences of a pass, and log those that nobody knew."""
    if not found:
        return
    kept = sum(part.of_pass for part in await audit_postgres.read_differences(db, pass_number))
    first = list({(one.part, one.place): one for one in reversed(found)}.values())[::-1][
        : max(0, KEPT_MAX - kept)
    ]
    for one in await audit_postgres.write_differences(db, first, pass_number, now_ms):
        _log.error("ledger_differs", part=one.part, place=one.place, detail=one.detail)


async def _figures(db: Connection, row: AuditRow, state: LogState, now_ms: int) -> list[Figure]:
    known = {one.part: one for one in await audit_postgres.read_differences(db, row.pass_number)}
    since_ms = row.passed_at_ms or row.started_at_ms or now_ms
    figures = [
        Figure("ledger_audit_lag_leaves", state.signed_size - row.next_index if row.started_at_ms else 0),
        Figure("ledger_audit_lag_seconds", (now_ms - since_ms) / 1000),
        Figure("ledger_queue_oldest_seconds", max(0, now_ms - (state.waiting_since_ms or now_ms)) / 1000),
    ]
    for part in PARTS:
        wrong = known.get(part)
        figures += [
            Figure("ledger_audit_differences", wrong.places if wrong else 0, part),
            Figure("ledger_audit_first_difference", wrong.first_place if wrong else -1, part),
        ]
    return figures
