"""Cursors of lists: opaque text for callers, a keyset position for us."""

from base64 import b64decode, urlsafe_b64encode
from typing import TypeVar

import msgspec

from protocols.errors import InvalidInput
from protocols.values import to_json

P = TypeVar("P")
F = TypeVar("F")


def write_cursor(position: object) -> str:
    """Return a position as a cursor."""
    return urlsafe_b64encode(to_json(position)).decode().rstrip("=")


def read_cursor(cursor: str | None, shape: type[P], first: F) -> P | F:
    """Return the position of a cursor made by `write_cursor`, `first` without one or for an empty one.

    Raises: InvalidInput.
    """
    if not cursor:
        return first
    try:
        text = b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        return msgspec.json.decode(text, type=shape)
    except ValueError as error:  # bad base64, not ASCII, bad JSON and wrong shape are all of them
        detail = "This is not a cursor of this list"
        raise InvalidInput(detail, errors=[{"pointer": "/cursor", "detail": detail}]) from error
