"""Read own saved searches page by page, newest first."""

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.cursors import id_cursor, read_id
from handlers.listings.searches.saved_searches import to_saved_search
from protocols.listings.saved_searches import ListSearches, SavedSearches
from storage.listings.saved_searches_postgres import list_searches as list_rows


async def list_searches(command: ListSearches, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return a page of the caller's saved searches. Raises InvalidInput."""
    rows = await list_rows(stores.db, caller.id, read_id(command.cursor), command.limit + 1)
    page = rows[: command.limit]
    cursor = id_cursor(page[-1].search_id) if len(rows) > len(page) else None
    return Outcome(SavedSearches(items=[to_saved_search(row) for row in page], next_cursor=cursor))
