"""Names of the files of a photo: the same in the store and behind `/v1/photos/`."""

import re
from uuid import UUID

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
