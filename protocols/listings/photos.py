"""Photos of listings. Commands, replies, events, refusals of the listings domain.

A photo's id is made of the listing and the picture: the same picture sent twice is one photo. Its files never change.
"""

from typing import Annotated, Any, ClassVar
from uuid import UUID

from msgspec import Meta, Struct

from protocols.errors import Refusal
from protocols.goods import Photo
from protocols.values import Key

PHOTO_BYTES_MAX = 10 * 1024 * 1024
"""Bytes of one upload: the largest picture of a telephone has about eight million."""

PHOTO_PIXELS_MAX = 50_000_000
"""Pixels of one upload, of each format and whatever its channels."""

PHOTOS_MAX = 12
"""Photos of one listing."""

MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp")
"""What an upload may be; which it is, is seen by its content."""

Caption = Annotated[str, Meta(max_length=200)]


# -- Commands ----------------------------------------------------------------------------------------------------------


class UploadPhoto(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Add a picture to an own listing, as its last photo; the body is the picture itself.

    JPEG, PNG or WebP, at most 10 MiB and 50 million pixels, whatever the format and its channels.
    """

    listing_id: UUID
    content: bytes


class ArrangePhotos(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Put the photos of an own listing into an order; the first one stands for the listing in lists."""

    listing_id: UUID
    photo_ids: Annotated[list[UUID], Meta(max_length=PHOTOS_MAX)]
    key: Key = ""


class CaptionPhoto(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Write under a photo what it shows; an empty caption takes it away."""

    listing_id: UUID
    photo_id: UUID
    caption: Caption
    key: Key = ""


class DeletePhoto(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take a photo off an own listing."""

    listing_id: UUID
    photo_id: UUID


# -- Events (audit) ----------------------------------------------------------------------------------------------------


class PhotosChanged(Struct, frozen=True, kw_only=True):
    """The owner added, arranged, captioned or deleted photos; these are all that are left."""

    by: UUID
    version: int
    photos: list[Photo]


# -- Refusals (611-614, 620-621) ---------------------------------------------------------------------------------------


class PhotoNotFound(Refusal):
    """There is no such photo."""

    code, number, status = "photo_not_found", 611, 404


class PhotoUnreadable(Refusal):
    """The file is broken or not whole: send it again, or another one."""

    code, number, status = "photo_unreadable", 612, 422


class PhotoTooLarge(Refusal):
    """The picture has too many pixels; send a smaller one."""

    code, number, status = "photo_too_large", 613, 422
    example: ClassVar[dict[str, Any]] = {"maximum": 50_000_000}


class PhotoFormatUnknown(Refusal):
    """This is neither JPEG nor PNG nor WebP."""

    code, number, status = "photo_format_unknown", 620, 422


class PhotoTooDemanding(Refusal):
    """Reading the picture takes more memory or time than one may; send a smaller or simpler one."""

    code, number, status = "photo_too_demanding", 621, 422


class TooManyPhotos(Refusal):
    """The listing has as many photos as one may have; delete one first."""

    code, number, status = "too_many_photos", 614, 409
    example: ClassVar[dict[str, Any]] = {"maximum": 12}
