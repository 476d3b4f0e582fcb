"""Read entries of the log in their order."""

from handlers.contract import Caller, Outcome, Stores
from handlers.ledger.states import find_newest
from handlers.ledger.tiles import Hashes, tiles_of
from handlers.ledger.views import to_entry
from protocols.ledger.commands import ListEntries, LogEntries
from storage.ledger.log_postgres import read_entries, read_tiles


async def list_entries(command: ListEntries, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return a page of entries: hashes, and what was logged of those that concern the caller.

    Raises CheckpointNotFound.
    """
    size = (await find_newest(stores.db)).tree_size
    end = min(command.start + command.limit, size)
    rows = await read_entries(stores.db, command.start, max(0, end - command.start))
    leaves = [(row.leaf_index, row.leaf_index + 1) for row in rows]
    hashes = Hashes(await read_tiles(stores.db, tiles_of(leaves)) if leaves else {})
    items = [to_entry(row, hashes.of(*leaf), caller) for row, leaf in zip(rows, leaves, strict=True)]
    return Outcome(LogEntries(items=items, next_cursor=str(end) if end < size else None))
