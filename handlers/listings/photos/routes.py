"""Photos of listings: their part of the domain's table of contents."""

from handlers.contract import Permission, Route, Upload
from handlers.listings.photos.arrange_photos import arrange_photos
from handlers.listings.photos.caption_photo import caption_photo
from handlers.listings.photos.delete_photo import delete_photo
from handlers.listings.photos.upload_photo import prepare_photo, upload_photo
from protocols.errors import InvalidInput, NotAllowed
from protocols.listings import photos as words
from protocols.listings.commands import Listing, ListingInAuction, ListingNotActive, ListingNotFound

_OWN = (ListingNotFound, ListingNotActive, ListingInAuction, NotAllowed)

ROUTES: tuple[Route, ...] = (
    Route(
        domain="listings",
        command=words.UploadPhoto,
        reply=Listing,
        function=upload_photo,
        method="POST",
        path="/v1/listings/{listing_id}/photos",
        permission=Permission.SIGNED_IN,
        status=201,
        cost=20,
        prepare=prepare_photo,
        upload=Upload(words.MEDIA_TYPES, words.PHOTO_BYTES_MAX),
        rpc=False,
        refusals=(
            *_OWN,
            words.TooManyPhotos,
            words.PhotoUnreadable,
            words.PhotoTooLarge,
            words.PhotoFormatUnknown,
            words.PhotoTooDemanding,
        ),
    ),
    Route(
        domain="listings",
        command=words.ArrangePhotos,
        reply=Listing,
        function=arrange_photos,
        method="PUT",
        path="/v1/listings/{listing_id}/photos",
        permission=Permission.SIGNED_IN,
        cost=2,
        refusals=(*_OWN, InvalidInput),
    ),
    Route(
        domain="listings",
        command=words.CaptionPhoto,
        reply=Listing,
        function=caption_photo,
        method="PATCH",
        path="/v1/listings/{listing_id}/photos/{photo_id}",
        permission=Permission.SIGNED_IN,
        cost=2,
        refusals=(*_OWN, words.PhotoNotFound, InvalidInput),
    ),
    Route(
        domain="listings",
        command=words.DeletePhoto,
        reply=Listing,
        function=delete_photo,
        method="DELETE",
        path="/v1/listings/{listing_id}/photos/{photo_id}",
        permission=Permission.SIGNED_IN,
        cost=2,
        refusals=(*_OWN, words.PhotoNotFound),
    ),
)
