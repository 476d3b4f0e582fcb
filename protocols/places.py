"""Where a list looks: a place and a circle around it, the same words in every domain."""

import re
from typing import Annotated

from msgspec import Meta

from protocols.errors import InvalidInput

Near = Annotated[str, Meta(max_length=64, examples=["52.52,13.405"])]
"""`lat,lon` in degrees; empty means anywhere."""

RadiusM = Annotated[int, Meta(ge=1, le=20_000_000)]
"""Metres on the sphere."""

RADIUS_M = 50_000
"""How far is near when nothing is said."""

_POINT = re.compile(r"\s*([+-]?\d{1,3}(?:\.\d{1,20})?)\s*,\s*([+-]?\d{1,3}(?:\.\d{1,20})?)\s*", re.ASCII)


def parse_near(text: str, pointer: str = "/near") -> tuple[float, float]:
    """Return latitude and longitude of a `lat,lon` text. Raises InvalidInput."""
    match = _POINT.fullmatch(text)
    if match is None:
        raise _unreadable(pointer, "Write `lat,lon` in degrees, such as `52.52,13.405`")
    lat, lon = float(match[1]), float(match[2])
    if abs(lat) > 90 or abs(lon) > 180:
        raise _unreadable(pointer, "Latitude is -90 to 90, longitude -180 to 180")
    return lat, lon


def _unreadable(pointer: str, detail: str) -> InvalidInput:
    return InvalidInput(detail, errors=[{"pointer": pointer, "detail": detail}])
