"""Read own listings page by page, newest first."""

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.cursors import id_cursor, read_id
from handlers.listings.views import to_listing
from protocols.listings.commands import ListOwnListings, OwnListings
from storage.listings.listings_postgres import list_own


async def list_own_listings(
    command: ListOwnListings, caller: Caller, stores: Stores, _now_ms: int
) -> Outcome:
    """Return a page of the caller's listings, drafts too. Raises InvalidInput."""
    before = read_id(command.cursor)
    rows = await list_own(stores.db, caller.id, before, command.limit + 1, command.status)
    page = rows[: command.limit]
    cursor = id_cursor(page[-1].listing_id) if len(rows) > len(page) else None
    return Outcome(OwnListings(items=[to_listing(row) for row in page], next_cursor=cursor))
