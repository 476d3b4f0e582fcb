"""Read the newest signed state of the log."""

from base64 import b64encode

from handlers.contract import Caller, Outcome, Stores
from handlers.ledger.states import find_newest
from protocols.ledger.commands import Checkpoint, GetCheckpoint
from protocols.values import to_timestamp


async def get_checkpoint(_command: GetCheckpoint, _caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return the newest checkpoint; over REST its text alone. Raises CheckpointNotFound."""
    row = await find_newest(stores.db)
    return Outcome(
        Checkpoint(
            tree_size=row.tree_size,
            root_hash=b64encode(row.root_hash).decode(),
            at=to_timestamp(row.at_ms),
            checkpoint=row.note,
        )
    )
