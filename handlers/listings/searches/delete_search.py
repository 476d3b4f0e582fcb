"""Forget a saved search."""

from handlers.contract import Caller, Outcome, Stores
from protocols.listings.saved_searches import DeleteSearch, SearchNotFound
from storage.listings.saved_searches_postgres import delete_search_row


async def delete_search(command: DeleteSearch, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Delete it with what it was told. Raises SearchNotFound."""
    if not await delete_search_row(stores.db, command.search_id, caller.id):
        raise SearchNotFound
    return Outcome(None)
