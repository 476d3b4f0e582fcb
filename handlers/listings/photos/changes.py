"""What every change of a listing's photos does: lock, own, change, count the version on, announce."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from handlers.contract import Caller, Event, Outcome, Stores, Timer
from handlers.listings.changes import check_auction, own_listing
from handlers.listings.views import stock_value, to_listing
from protocols.listings.channels import listing_stream
from protocols.listings.commands import ListingNotActive
from protocols.listings.photos import PhotosChanged
from storage.auctions.lookups import read_open_auction
from storage.listings.listings_postgres import ListingRow, lock_listing, update_listing_row
from storage.listings.photos_postgres import PhotoRow, read_held_until

Photos = tuple[PhotoRow, ...]


def changeable(row: ListingRow | None, user_id: UUID) -> ListingRow:
    """Return the listing when this user may change its photos. Raises ListingNotFound, NotAllowed, ListingNotActive."""
    row = own_listing(row, user_id)
    if row.status not in {"draft", "active"}:
        raise ListingNotActive(listing_status=row.status)
    return row


async def change_photos(
    listing_id: UUID, change: Callable[[Photos], Photos], caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """Give a listing the photos that `change` makes of those it has; the very same leave it as it is.

    Raises: ListingNotFound, NotAllowed, ListingNotActive, ListingInAuction, and what `change` raises.
    """
    before = changeable(await lock_listing(stores.db, listing_id), caller.id)
    photos = change(before.photos)
    if photos == before.photos:
        return Outcome(to_listing(before))
    check_auction(before, await read_open_auction(stores.db, listing_id))
    version = before.version + 1
    row = replace(
        before,
        photos=photos,
        version=version,
        terms_version=version,
        updated_at_ms=max(now_ms, before.updated_at_ms),
    )
    await update_listing_row(stores.db, row)
    view = to_listing(row)
    changed = PhotosChanged(by=caller.id, version=version, photos=view.photos)
    event = Event(listing_stream(listing_id), "photos_changed", changed, version)
    latest = [] if row.status == "draft" else [stock_value(row)]
    kept = {photo.photo_id for photo in photos}
    gone = [photo.photo_id for photo in before.photos if photo.photo_id not in kept]
    return Outcome(view, [event], latest, await sweeping(gone, stores, now_ms))


async def sweeping(photo_ids: list[UUID], stores: Stores, now_ms: int) -> list[Timer]:
    """Return the timers that delete the files of photos no listing shows any more."""
    if not photo_ids:
        return []
    held = await read_held_until(stores.db, photo_ids)
    return [
        Timer("sweep_photos", photo_id, max(now_ms, held.get(photo_id, now_ms))) for photo_id in photo_ids
    ]
