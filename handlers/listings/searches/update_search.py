"""Change a saved search."""

from dataclasses import replace

from msgspec import UNSET

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.searches.saved_searches import check_name, file_search, to_saved_search
from protocols.listings.saved_searches import SearchNotFound, UpdateSearch
from storage.listings.saved_searches_postgres import lock_search, update_search_row


async def update_search(command: UpdateSearch, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Write what is given; what it was told of stays told. Raises SearchNotFound, InvalidInput, CategoryNotFound."""
    row = await lock_search(stores.db, command.search_id, caller.id)
    if row is None:
        raise SearchNotFound
    if command.name is not UNSET:
        row = replace(row, name=check_name(command.name))
    if command.notify is not UNSET:
        row = replace(row, notify=command.notify)
    if command.filters is not UNSET:
        row = replace(row, filters=command.filters)
    filed = await file_search(stores.db, row.filters)
    row = replace(row, updated_at_ms=max(now_ms, row.updated_at_ms))
    await update_search_row(stores.db, row, filed.filters, filed.words, filed.anchors)
    return Outcome(to_saved_search(row))
