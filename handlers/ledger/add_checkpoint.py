"""Have a checkpoint cosigned: the witness of other logs. Source: C2SP tlog-witness.

A cosignature says that the witness has seen the log grow from what it saw before to this checkpoint, so what it saw
last is locked while it is compared, and written before the signature leaves.
"""

from dataclasses import dataclass

from handlers.contract import Caller, Outcome, Stores
from handlers.ledger.keys import LedgerKeys
from handlers.ledger.merkle import EMPTY_ROOT, PROOF_HASHES_MAX, is_consistent
from handlers.ledger.notes import (
    BadNoteError,
    Checkpoint,
    Note,
    read_checkpoint,
    read_hash,
    read_note,
    read_size,
)
from protocols.ledger.commands import AddCheckpoint, Cosignatures
from protocols.ledger.refusals import (
    BadCheckpoint,
    CheckpointNotSigned,
    LogNotWitnessed,
    NotConsistent,
    SplitView,
    WitnessElsewhere,
)
from storage.ledger.witnessed_postgres import WitnessedLog, lock_witnessed, write_witnessed


@dataclass(frozen=True, slots=True)
class _Request:
    old_size: int
    proof: list[bytes]
    note: Note
    checkpoint: Checkpoint


async def add_checkpoint(command: AddCheckpoint, _caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Return the line that cosigns a checkpoint; over REST the line alone.

    Raises: BadCheckpoint, LogNotWitnessed, CheckpointNotSigned, WitnessElsewhere, SplitView, NotConsistent.
    """
    keys = stores.need(LedgerKeys)
    asked = _read(command.content)
    new = asked.checkpoint
    key = keys.witnessed.get(new.origin)
    if key is None:
        raise LogNotWitnessed
    if not asked.note.is_signed_by(key):
        raise CheckpointNotSigned
    if asked.old_size > new.size:
        raise BadCheckpoint("The old size is above that of the checkpoint")
    seen = await lock_witnessed(stores.db, new.origin, EMPTY_ROOT)
    if asked.old_size != seen.tree_size:
        raise WitnessElsewhere(tree_size=seen.tree_size)
    _compare(seen, asked)
    text = asked.note.text
    await write_witnessed(stores.db, WitnessedLog(new.origin, new.size, new.root, text, now_ms))
    return Outcome(Cosignatures(lines=keys.witness.cosign(text, now_ms // 1000)))


def _compare(seen: WitnessedLog, asked: _Request) -> None:
    """Raise SplitView or NotConsistent unless the checkpoint continues what was seen."""
    new = asked.checkpoint
    if seen.tree_size == new.size and seen.root_hash != new.root:
        raise SplitView
    if not seen.tree_size:
        is_right = not asked.proof
    else:
        is_right = is_consistent(seen.tree_size, new.size, asked.proof, seen.root_hash, new.root)
    if not is_right:
        raise NotConsistent


def _read(content: bytes) -> _Request:
    """Return a request's parts. Raises BadCheckpoint. Cost: linear in the content."""
    try:
        text = content.decode()
        head, _, checkpoint = text.partition("\n\n")
        first, *lines = head.split("\n")
        if not first.startswith("old "):
            raise BadCheckpoint("The first line is `old` and a size")
        if len(lines) > PROOF_HASHES_MAX:
            raise BadCheckpoint(f"A proof has at most {PROOF_HASHES_MAX} hashes")
        note = read_note(checkpoint)
        return _Request(
            read_size(first.removeprefix("old ")),
            [read_hash(line) for line in lines],
            note,
            read_checkpoint(note.text),
        )
    except UnicodeDecodeError:
        raise BadCheckpoint("The request is not UTF-8") from None
    except BadNoteError as error:
        raise BadCheckpoint(f"This is no request to a witness: {error}") from None
