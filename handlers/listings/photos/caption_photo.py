"""Write under a photo what it shows."""

from msgspec.structs import replace

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.photos.changes import Photos, change_photos
from protocols.labels import check_lines
from protocols.listings.photos import CaptionPhoto, PhotoNotFound


async def caption_photo(command: CaptionPhoto, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Replace a photo's caption.

    Raises: ListingNotFound, NotAllowed, ListingNotActive, ListingInAuction, PhotoNotFound, InvalidInput.
    """
    caption = check_lines(command.caption, "/caption", "A caption") if command.caption.strip() else ""

    def write(photos: Photos) -> Photos:
        if all(photo.photo_id != command.photo_id for photo in photos):
            raise PhotoNotFound
        return tuple(
            replace(photo, caption=caption) if photo.photo_id == command.photo_id else photo
            for photo in photos
        )

    return await change_photos(command.listing_id, write, caller, stores, now_ms)
