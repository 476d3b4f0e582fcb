"""Read where a checkpoint stands on a chain."""

from base64 import b64encode

from handlers.contract import Caller, Outcome, Stores
from handlers.ledger.states import find_checkpoint
from protocols.ledger.commands import Anchor, GetAnchor


async def get_anchor(command: GetAnchor, _caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return the anchor of the checkpoint of a size, pending until it has one. Raises CheckpointNotFound."""
    row = await find_checkpoint(stores.db, command.tree_size)
    return Outcome(
        Anchor(tree_size=row.tree_size, root_hash=b64encode(row.root_hash).decode(), status="pending")
    )
