"""Put the photos of a listing into an order."""

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.photos.changes import Photos, change_photos
from handlers.listings.rules import refuse
from protocols.listings.photos import ArrangePhotos


async def arrange_photos(command: ArrangePhotos, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Give the photos the order of their ids, all of them.

    Raises: ListingNotFound, NotAllowed, ListingNotActive, ListingInAuction, InvalidInput.
    """

    def arrange(photos: Photos) -> Photos:
        by_id = {photo.photo_id: photo for photo in photos}
        if sorted(command.photo_ids) != sorted(by_id):
            refuse("/photo_ids", "Name every photo of the listing once")
        return tuple(by_id[photo_id] for photo_id in command.photo_ids)

    return await change_photos(command.listing_id, arrange, caller, stores, now_ms)
