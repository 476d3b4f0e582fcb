"""The rules of listings, pure: what text and attributes may hold, where a point is."""

import re
import unicodedata
from typing import Any, NoReturn

from protocols.errors import InvalidInput
from protocols.labels import check_label
from protocols.listings.commands import Price
from protocols.prices import check_currency
from protocols.values import GeoPoint

_REFUSED_CATEGORIES = frozenset({"Cc", "Cs"})  # not Cn: emoji newer than this Python are unassigned to it
_LINE_BREAKS = frozenset("\n\r\t")
_ATTRIBUTE_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def refuse(pointer: str, detail: str) -> NoReturn:
    """Raise InvalidInput for one place of the input."""
    raise InvalidInput(detail, errors=[{"pointer": pointer, "detail": detail}])


def check_title(text: str) -> str:
    """Return the title without outer white space. Raises InvalidInput for what does not show on one line."""
    return check_label(text, "/title", "A title")


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


def check_point(point: GeoPoint | None) -> tuple[float | None, float | None]:
    """Return latitude and longitude, both None without a point; -180 degrees becomes 180, one place has one name."""
    if point is None:
        return None, None
    return point.lat + 0.0, 180.0 if point.lon == -180 else point.lon + 0.0
