"""What every domain shows of goods: their condition and photos, whose files have one name in the store and outside."""

import re
from typing import Literal
from uuid import UUID

from msgspec import Struct

Condition = Literal["new", "like_new", "used", "for_parts"]

SIZES = ("full", "medium", "small")
"""The files of a photo, large to small; the renderer makes them in this order."""

PHOTOS_PATH = "/v1/photos/{name}"

_NAME = re.compile(rf"([0-9a-f]{{32}})-({'|'.join(SIZES)})\.jpg")


def file_name(photo_id: UUID, size: str) -> str:
    """Return the name of one file."""
    return f"{photo_id.hex}-{size}.jpg"


def file_path(photo_id: UUID, size: str) -> str:
    """Return the path at which one file is read."""
    return PHOTOS_PATH.replace("{name}", file_name(photo_id, size))


def parse_name(name: str) -> tuple[UUID, str] | None:
    """Return photo and size of a file name; None for any other text."""
    match = _NAME.fullmatch(name)
    return None if match is None else (UUID(match[1]), match[2])


class Photo(Struct, frozen=True, kw_only=True):
    """A photo: pixels of the full size, and where its three sizes are read."""

    id: UUID
    width: int
    height: int
    caption: str
    full: str
    """Path of the JPEG, at most 2,048 pixels wide and high."""
    medium: str
    """At most 800."""
    small: str
    """At most 320."""


def to_photo(photo_id: UUID, width: int, height: int, caption: str) -> Photo:
    """Return a photo with the paths of its files."""
    full, medium, small = (file_path(photo_id, size) for size in SIZES)
    return Photo(
        id=photo_id, width=width, height=height, caption=caption, full=full, medium=medium, small=small
    )
