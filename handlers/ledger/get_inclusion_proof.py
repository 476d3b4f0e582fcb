"""Prove that an entry is in the log."""

from handlers.contract import Caller, Outcome, Stores
from handlers.ledger.proving import prove, read_hashes
from handlers.ledger.states import find_checkpoint
from handlers.ledger.views import may_read
from protocols.ledger.commands import GetInclusionProof, InclusionProof
from protocols.ledger.refusals import LogEntryNotFound
from storage.ledger.log_postgres import read_entries


async def get_inclusion_proof(
    command: GetInclusionProof, caller: Caller, stores: Stores, _now_ms: int
) -> Outcome:
    """Return the proof as a file; over REST the file alone. What was logged is in it for those whom it concerns.

    Raises: LogEntryNotFound, CheckpointNotFound.
    """
    checkpoint = await find_checkpoint(stores.db, command.tree_size)
    if command.index >= checkpoint.tree_size:
        raise LogEntryNotFound(tree_size=checkpoint.tree_size)
    (row,) = await read_entries(stores.db, command.index, 1)
    hashes = await read_hashes(stores.db, [command.index], checkpoint.tree_size)
    leaf = row.leaf if may_read(row, caller) else None
    proof = prove(command.index, checkpoint, hashes, leaf)
    return Outcome(InclusionProof(index=command.index, tree_size=checkpoint.tree_size, proof=proof))
