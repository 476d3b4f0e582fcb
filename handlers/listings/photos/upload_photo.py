"""Add a photo to a listing: rendered and stored before the transaction, then one change of the listing.

Killed before the files are stored, nothing is left but a timer; killed between files and commit, the timer finds that
no listing shows them and has them deleted; killed after the commit, the photo is there. Sending the same picture again
is safe at every point: its id is made of the listing and the picture. While files of the same picture are being
deleted, the upload stores new ones under an id of their own (`sweep_photos`).
"""

import hashlib
from functools import partial
from uuid import UUID

from msgspec import Struct

from handlers.contract import Caller, Outcome, Preparation, Stores
from handlers.listings.photos.changes import Photos, change_photos, changeable
from handlers.listings.photos.tools import PhotoTools, RenderedPhoto
from protocols.errors import TemporarilyUnavailable
from protocols.listings.photos import PHOTOS_MAX, TooManyPhotos, UploadPhoto
from protocols.values import now_instant
from storage.listings.listings_postgres import read_listing_row
from storage.listings.photos_postgres import PhotoRow, hold_files
from storage.platform.timers_postgres import insert_timers

HELD_FOR_MS = 10 * 60_000
"""How long stored files wait for their listing; a command is given up after ten seconds."""


class StoredPhoto(Struct, frozen=True):
    """A photo whose files are in the store, and until when it has to be in its listing."""

    listing_id: UUID
    photo: PhotoRow
    until_ms: int


async def prepare_photo(command: UploadPhoto, caller: Caller, before: Preparation) -> StoredPhoto:
    """Render the picture and store its files.

    Raises: ListingNotFound, NotAllowed, ListingNotActive, TooManyPhotos, PhotoFormatUnknown,
    PhotoUnreadable, PhotoTooLarge, PhotoTooDemanding, TemporarilyUnavailable.
    """
    async with before.connection() as db:
        listing = changeable(await read_listing_row(db, command.listing_id), caller.id)
    check_room(listing.photos)
    rendered = await before.need(PhotoTools).render(command.content)
    photo_id = name_photo(command.listing_id, rendered)
    until_ms = now_instant() + HELD_FOR_MS
    async with before.connection() as db:
        await insert_timers(db, [(until_ms, "sweep_photos", photo_id)])
        files_id = await hold_files(db, photo_id, command.listing_id, until_ms)
    await before.need(PhotoTools).keep(files_id, rendered)
    return StoredPhoto(
        command.listing_id,
        PhotoRow(photo_id=photo_id, width=rendered.width, height=rendered.height),
        until_ms,
    )


async def upload_photo(command: StoredPhoto, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Add the photo as the last one; a picture the listing has already changes nothing.

    Raises: ListingNotFound, NotAllowed, ListingNotActive, ListingInAuction, TooManyPhotos, TemporarilyUnavailable.
    """
    if now_ms > command.until_ms - HELD_FOR_MS // 2:
        raise TemporarilyUnavailable("The photo took too long to store; try again")
    change = partial(_add, photo=command.photo)
    return await change_photos(command.listing_id, change, caller, stores, now_ms)


def name_photo(listing_id: UUID, rendered: RenderedPhoto) -> UUID:
    """Return the id of a picture in a listing: a UUIDv8 of both."""
    digest = hashlib.blake2b(rendered.files["full"], digest_size=16, key=listing_id.bytes).digest()
    bits = int.from_bytes(digest, "big") & ~(0xF << 76) & ~(0x3 << 62) | (0x8 << 76) | (0x2 << 62)
    return UUID(int=bits)


def check_room(photos: Photos) -> None:
    """Raises TooManyPhotos when one more is too many."""
    if len(photos) >= PHOTOS_MAX:
        raise TooManyPhotos(maximum=PHOTOS_MAX)


def _add(photos: Photos, photo: PhotoRow) -> Photos:
    if any(each.photo_id == photo.photo_id for each in photos):
        return photos
    check_room(photos)
    return (*photos, photo)
