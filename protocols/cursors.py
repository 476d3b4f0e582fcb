"""Cursors of lists: opaque text for callers, a keyset position for us."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TypeVar

import msgspec

from protocols.errors import InvalidInput
from protocols.values import to_json

P = TypeVar("P")


def write_cursor(position: object) -> str:
    """Return a position as a cursor."""
    return urlsafe_b64encode(to_json(position)).decode().rstrip("=")


def read_cursor(cursor: str, shape: type[P]) -> P:
    """Return the position of a cursor made by `write_cursor`. Raises InvalidInput."""
    try:
        text = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        return msgspec.json.decode(text, type=shape)
    except ValueError as error:  # bad base64, not ASCII, bad JSON and wrong shape are all of them
        detail = "This is not a cursor of this list"
        raise InvalidInput(detail, errors=[{"pointer": "/cursor", "detail": detail}]) from error
