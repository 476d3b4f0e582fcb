"""Throw a draft away."""

from handlers.contract import Caller, Event, Outcome, Stores
from handlers.listings.changes import own_listing
from handlers.listings.photos.changes import sweeping
from protocols.listings.channels import listing_stream
from protocols.listings.commands import DeleteDraft, DraftDeleted, ListingNotDraft
from storage.listings.listings_postgres import delete_listing, lock_listing


async def delete_draft(command: DeleteDraft, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Delete it for good; its audit events stay. Raises ListingNotFound, NotAllowed, ListingNotDraft."""
    row = own_listing(await lock_listing(stores.db, command.listing_id), caller.id)
    if row.status != "draft":
        raise ListingNotDraft(listing_status=row.status)
    await delete_listing(stores.db, row.listing_id)
    deleted = DraftDeleted(by=caller.id, version=row.version + 1)
    event = Event(listing_stream(row.listing_id), "draft_deleted", deleted, deleted.version)
    timers = await sweeping([photo.photo_id for photo in row.photos], stores, now_ms)
    return Outcome(None, events=[event], timers=timers)
