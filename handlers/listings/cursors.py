"""Where a list stands, as the opaque text of `next_cursor`.

A list by id or by number has the last one shown. A cursor of a search belongs to that search: it carries a digest of
what was asked, and another question refuses it. It holds only what the page showed, so it needs no signature; a forged
one moves within the same public list.
"""

import base64
import binascii
import hashlib
import math
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from handlers.listings.rules import refuse
from protocols.listings.commands import SearchListings
from protocols.values import to_json
from storage.listings.search_postgres import After, Order

P = TypeVar("P")

_NEWEST = UUID(int=2**128 - 1)
_NUMBER_MAX = 2_147_483_647
_KEY_MAX = 9_007_199_254_740_992
_KEY_KINDS: dict[str, tuple[type, ...]] = {
    "relevance": (int, float),
    "newest": (type(None),),
    "price_asc": (int,),
    "price_desc": (int,),
    "distance": (int, float),
}


class _Cursor(Struct, array_like=True, frozen=True):
    digest: str
    key: int | float | None
    listing_id: UUID
    similar: bool
    bound: UUID | None


def _write(place: object) -> str:
    return base64.urlsafe_b64encode(to_json(place)).rstrip(b"=").decode()


def _read(cursor: str, shape: type[P]) -> P:
    """Return the place in a cursor. Raises InvalidInput."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        return msgspec.json.decode(text, type=shape)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        refuse("/cursor", "This is not a cursor of ours")


def id_cursor(last: UUID) -> str:
    """Return the cursor of the page behind an id, in a list that descends by id."""
    return _write(last)


def read_id(cursor: str) -> UUID:
    """Return the id a page is behind; above all others without a cursor. Raises InvalidInput."""
    return _read(cursor, UUID) if cursor else _NEWEST


def number_cursor(last: int) -> str:
    """Return the cursor of the page behind a number, in a list that descends by number."""
    return _write(last)


def read_number(cursor: str) -> int:
    """Return the number a page is behind; above all others without a cursor. Raises InvalidInput."""
    number = _read(cursor, int) if cursor else _NUMBER_MAX
    if not 0 <= number <= _NUMBER_MAX:
        refuse("/cursor", "This is not a cursor of ours")
    return number


def write_cursor(after: After, command: SearchListings) -> str:
    """Return the cursor of the page behind `after`."""
    return _write(_Cursor(_digest(command), after.key, after.listing_id, after.similar, after.bound))


def read_cursor(command: SearchListings, order: Order) -> After | None:
    """Return where the command's cursor stands, None without one. Raises InvalidInput."""
    if not command.cursor:
        return None
    place = _read(command.cursor, _Cursor)
    if place.digest != _digest(command):
        refuse("/cursor", "This cursor belongs to another search; begin again without it")
    if not _fits(place, order):
        refuse("/cursor", "This is not a cursor of ours")
    return After(key=place.key, listing_id=place.listing_id, similar=place.similar, bound=place.bound)


def _fits(place: _Cursor, order: Order) -> bool:
    key: Any = place.key
    if type(key) not in _KEY_KINDS[order] or (place.bound is None) != (order != "relevance"):
        return False
    return key is None or (math.isfinite(key) and abs(key) <= _KEY_MAX)


def _digest(command: SearchListings) -> str:
    """Return a digest of everything asked for but the page."""
    asked = msgspec.structs.replace(command, cursor="", limit=1)
    return hashlib.blake2b(to_json(asked), digest_size=6).hexdigest()
