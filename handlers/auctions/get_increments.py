"""Read a currency's increment table and its history."""

from handlers.auctions.increments import read_table, to_table, to_version
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.increments import GetIncrements, IncrementTable
from storage.auctions.increments_postgres import list_tables


async def get_increments(
    command: GetIncrements,
    caller: Caller,  # noqa: ARG001 - everybody sees the same
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - the newest version holds
) -> Outcome:
    """Return the table that holds now, and a page of all versions, newest first. Raises InvalidInput."""
    current = await read_table(stores.db, command.currency)
    rows = await list_tables(stores.db, command.currency, command.before, command.limit)
    history = [to_version(to_table(row)) for row in rows]
    return Outcome(IncrementTable(currency=command.currency, current=to_version(current), history=history))
