"""Keep a search."""

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.searches.saved_searches import check_name, file_search, to_saved_search
from protocols.listings.saved_searches import SEARCHES_MAX, SaveSearch, TooManySearches
from protocols.values import new_id
from storage.listings.saved_searches_postgres import SearchRow, count_searches, insert_search, lock_user


async def save_search(command: SaveSearch, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Save it for the caller; listings published from now on are matched with it.

    Raises: InvalidInput, CategoryNotFound, TooManySearches.
    """
    name = check_name(command.name)
    filed = await file_search(stores.db, command.filters)
    await lock_user(stores.db, caller.id)
    if await count_searches(stores.db, caller.id) >= SEARCHES_MAX:
        raise TooManySearches(maximum=SEARCHES_MAX)
    row = SearchRow(
        search_id=new_id(),
        user_id=caller.id,
        name=name,
        notify=command.notify,
        filters=command.filters,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
    await insert_search(stores.db, row, filed.filters, filed.words, filed.anchors)
    return Outcome(to_saved_search(row))
