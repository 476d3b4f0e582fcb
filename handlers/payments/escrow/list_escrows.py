"""Read own escrows page by page, newest first."""

from uuid import UUID

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.escrow.views import to_view
from protocols.cursors import read_cursor, write_cursor
from protocols.payments.escrow_commands import EscrowList, ListEscrows
from storage.payments.escrows_postgres import list_escrows as read_escrows

_NEWEST = UUID(int=2**128 - 1)


async def list_escrows(command: ListEscrows, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return a page of the escrows that the caller is a party to. Raises InvalidInput."""
    before = read_cursor(command.cursor, UUID, _NEWEST)
    escrows = await read_escrows(stores.db, caller.id, before, command.limit + 1)
    page = escrows[: command.limit]
    cursor = write_cursor(page[-1].row.escrow_id) if len(escrows) > len(page) else None
    return Outcome(EscrowList(items=[to_view(escrow) for escrow in page], next_cursor=cursor))
