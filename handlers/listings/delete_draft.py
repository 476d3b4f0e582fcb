"""Throw a draft away."""

from handlers.contract import Caller, Event, Outcome, Stores
from handlers.listings.changes import own_listing
from protocols.listings import DeleteDraft, DraftDeleted, ListingNotDraft
from protocols.topics import listing_stream
from storage.listings.listings_postgres import delete_listing, lock_listing


async def delete_draft(command: DeleteDraft, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Delete it for good; its audit events stay. Raises ListingNotFound, NotAllowed, ListingNotDraft."""
    row = own_listing(await lock_listing(stores.db, command.listing_id), caller.id)
    if row.status != "draft":
        raise ListingNotDraft(listing_status=row.status)
    await delete_listing(stores.db, row.listing_id)
    deleted = DraftDeleted(by=caller.id, version=row.version + 1)
    return Outcome(
        None, events=[Event(listing_stream(row.listing_id), "draft_deleted", deleted, deleted.version)]
    )
