"""Take a photo off a listing."""

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.photos.changes import Photos, change_photos
from protocols.listings.photos import DeletePhoto, PhotoNotFound


async def delete_photo(command: DeletePhoto, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Delete the photo; nobody can read its files from now on, a timer deletes them.

    Raises: ListingNotFound, NotAllowed, ListingNotActive, ListingInAuction, PhotoNotFound.
    """

    def leave_out(photos: Photos) -> Photos:
        if all(photo.photo_id != command.photo_id for photo in photos):
            raise PhotoNotFound
        return tuple(photo for photo in photos if photo.photo_id != command.photo_id)

    return await change_photos(command.listing_id, leave_out, caller, stores, now_ms)
