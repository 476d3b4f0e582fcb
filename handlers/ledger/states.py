"""The states of the log that queries are about."""

from protocols.ledger.refusals import CheckpointNotFound
from storage.engines.postgres import Connection
from storage.ledger.log_postgres import CheckpointRow, read_checkpoint, read_newest


async def find_newest(db: Connection) -> CheckpointRow:
    """Return the newest checkpoint. Raises CheckpointNotFound before the first."""
    row = await read_newest(db)
    if row is None:
        raise CheckpointNotFound
    return row


async def find_checkpoint(db: Connection, tree_size: int | None) -> CheckpointRow:
    """Return the checkpoint of a size, the newest for None. Raises CheckpointNotFound."""
    if tree_size is None:
        return await find_newest(db)
    row = await read_checkpoint(db, tree_size)
    if row is None:
        raise CheckpointNotFound
    return row
