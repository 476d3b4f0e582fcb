"""Read whom the caller keeps out of own auctions, page by page."""

from uuid import UUID

from msgspec import Struct

from handlers.auctions.guards.block_views import to_block
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.guards import BlockList, ListBlocks
from protocols.cursors import read_cursor, write_cursor
from storage.auctions import guards_postgres


class _Cursor(Struct, array_like=True, frozen=True):
    """The id of the last block of a page."""

    block_id: UUID


async def list_blocks(
    command: ListBlocks,
    caller: Caller,
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - as of now
) -> Outcome:
    """Return a page of the caller's own blocks. Raises InvalidInput."""
    after = read_cursor(command.cursor, _Cursor, _Cursor(UUID(int=0))).block_id
    rows = await guards_postgres.list_blocks(stores.db, caller.id, after, command.limit + 1)
    page = rows[: command.limit]
    next_cursor = write_cursor(_Cursor(page[-1].block_id)) if len(rows) > command.limit else None
    return Outcome(BlockList(items=[to_block(row) for row in page], next_cursor=next_cursor))
