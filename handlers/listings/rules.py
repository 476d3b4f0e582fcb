"""The rules of listings, pure: what text and attributes may hold, what a change does, where a point is."""

import re
import unicodedata
from dataclasses import asdict, replace
from typing import Any, NoReturn
from uuid import UUID

from msgspec import UNSET

from protocols.errors import InvalidInput, NotAllowed, Stale
from protocols.listings import ListingNotActive, ListingNotFound, Price, UpdateListing
from protocols.values import GeoPoint
from storage.listings.listings_postgres import ListingRow

_REFUSED_CATEGORIES = frozenset({"Cc", "Cs"})  # not Cn: emoji newer than this Python are unassigned to it
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zs", "Zl", "Zp"})
_LINE_BREAKS = frozenset("\n\r\t")
_ATTRIBUTE_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_POINT = re.compile(r"\s*([+-]?\d{1,3}(?:\.\d{1,20})?)\s*,\s*([+-]?\d{1,3}(?:\.\d{1,20})?)\s*", re.ASCII)
_CHANGEABLE = ("title", "description", "category", "condition", "weight_g", "volume_cm3", "quantity")


def refuse(pointer: str, detail: str) -> NoReturn:
    """Raise InvalidInput for one place of the input."""
    raise InvalidInput(detail, errors=[{"pointer": pointer, "detail": detail}])


def check_title(text: str) -> str:
    """Return the title without outer white space. Raises InvalidInput for what does not show on one line."""
    title = text.strip()
    if any(unicodedata.category(c) in _REFUSED_CATEGORIES or c in "\u2028\u2029" for c in title):
        refuse("/title", "A title is one line without control characters")
    if all(unicodedata.category(c) in _INVISIBLE_CATEGORIES for c in title):
        refuse("/title", "A title has at least one visible character")
    return title


def check_description(text: str) -> str:
    """Return the description with its outer white space dropped and line breaks as LF. Raises InvalidInput."""
    if has_controls(text):
        refuse("/description", "A description has no control characters but line breaks and tabs")
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def has_controls(text: str) -> bool:
    """Tell whether the text has control characters other than line breaks and tabs, or halves of characters."""
    return any(unicodedata.category(c) in _REFUSED_CATEGORIES and c not in _LINE_BREAKS for c in text)


def check_attributes(attributes: dict[str, Any] | None) -> dict[str, Any]:
    """Return the attributes, none for None. Raises InvalidInput."""
    for name, value in (attributes or {}).items():
        if not _ATTRIBUTE_NAME.fullmatch(name):
            refuse(
                "/attributes", "Names are a to z, 0 to 9 and _, begin with a letter, at most 40 characters"
            )
        if isinstance(value, str) and has_controls(value):
            refuse(f"/attributes/{name}", "A value has no control characters but line breaks and tabs")
    return attributes or {}


def check_price(price: Price | None) -> tuple[int | None, str | None]:
    """Return minor units and currency, both None without a price. Raises InvalidInput."""
    if price is None:
        return None, None
    return price.amount, check_currency(price.currency, "/price/currency")


def check_currency(currency: str, pointer: str) -> str:
    """Return the currency. Raises InvalidInput: a pattern's `$` lets a final line break through."""
    if len(currency) != 3:
        refuse(pointer, "A currency is three capital letters")
    return currency


def check_point(point: GeoPoint | None) -> tuple[float | None, float | None]:
    """Return latitude and longitude, both None without a point; -180 degrees becomes 180, one place has one name."""
    if point is None:
        return None, None
    return point.lat + 0.0, 180.0 if point.lon == -180 else point.lon + 0.0


def parse_near(text: str) -> tuple[float, float]:
    """Return latitude and longitude of a `lat,lon` text. Raises InvalidInput."""
    match = _POINT.fullmatch(text)
    if match is None:
        refuse("/near", "Write `lat,lon` in degrees, such as `52.52,13.405`")
    lat, lon = float(match[1]), float(match[2])
    if abs(lat) > 90 or abs(lon) > 180:
        refuse("/near", "Latitude is -90 to 90, longitude -180 to 180")
    return lat, lon


def own_listing(row: ListingRow | None, user_id: UUID) -> ListingRow:
    """Return the listing when it is this user's. Raises ListingNotFound, NotAllowed."""
    if row is None:
        raise ListingNotFound
    if row.seller_id != user_id:
        raise NotAllowed("Only its seller may change a listing")
    return row


def change_listing(row: ListingRow, command: UpdateListing, now_ms: int) -> ListingRow:
    """Return the listing as the command wants it, one version on; the very same when nothing would change.

    Raises: Stale, ListingNotActive, InvalidInput.
    """
    if command.if_match is not None and command.if_match != row.version:
        raise Stale(version=row.version)
    if row.status != "active":
        raise ListingNotActive(status=row.status)
    changed = replace(row, **_given_columns(command))
    if changed == row:
        return row
    return replace(changed, version=row.version + 1, updated_at_ms=max(now_ms, row.updated_at_ms))


def _given_columns(command: UpdateListing) -> dict[str, Any]:
    given = {name: getattr(command, name) for name in _CHANGEABLE if getattr(command, name) is not UNSET}
    if "title" in given:
        given["title"] = check_title(given["title"])
    if "description" in given:
        given["description"] = check_description(given["description"])
    if command.price is not UNSET:
        given["price_minor"], given["currency"] = check_price(command.price)
    if command.location is not UNSET:
        given["lat"], given["lon"] = check_point(command.location)
    if command.attributes is not UNSET:
        given["attributes"] = check_attributes(command.attributes)
    return given


def changed_columns(before: ListingRow, after: ListingRow) -> set[str]:
    """Return the names of the columns that differ."""
    old, new = asdict(before), asdict(after)
    return {name for name, value in new.items() if old[name] != value}
