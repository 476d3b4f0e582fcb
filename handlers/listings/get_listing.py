"""Read one listing."""

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.views import to_listing
from protocols.listings.commands import GetListing
from protocols.listings.refusals import ListingNotFound
from storage.listings.listings_postgres import read_listing_row


async def get_listing(command: GetListing, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return the listing as of now, whatever its status; a draft to its owner alone.

    Raises: ListingNotFound.
    """
    row = await read_listing_row(stores.db, command.listing_id)
    if row is None or (row.status == "draft" and row.seller_id != caller.user_id):
        raise ListingNotFound
    return Outcome(reply=to_listing(row))
