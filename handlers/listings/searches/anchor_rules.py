"""Which saved searches are worth a look for a listing, pure: a search is filed under anchors, a listing has many.

An anchor is something that every listing a search finds must have: a word, a seller, a place, a category. A search is
filed under the rarest kind it has, so that one index finds the candidates; the search's own predicate then decides.
Words are anchors as they are; the others begin with a space, which no word does.
"""

import math
import re
from collections.abc import Iterator, Sequence
from itertools import product
from uuid import UUID

ANYTHING = " any"
"""The anchor of searches that have no better one, and of every listing."""

LEVELS = 12
"""Grids of cells, from 180 degrees down to 5 minutes (about ten kilometres), each half as wide as the one before."""

CELLS_MAX = 16
"""Cells a circle may be filed under: it takes the finest grid that covers it with so few."""

METRES_PER_DEGREE = 111_000
"""A little less than it is, so that cells cover a little more than the circle."""

_TOKEN = re.compile(r"'((?:[^'\\]++|''|\\.)*+)'?(?::[*A-D]+)?|<(?:-|\d+)>|[&|!()]")

Cover = frozenset[str] | None
"""Words of which every match has at least one; None when a match may have none of them."""


def search_anchors(
    words: str | None, seller_id: UUID | None, circle: tuple[float, float, float] | None, category: str | None
) -> list[str]:
    """Return what to file a search under: its tsquery's text, seller, circle (lat, lon, metres), category."""
    cover = word_cover(words) if words else None
    if cover:
        return sorted(cover)
    if seller_id is not None:
        return [f" seller {seller_id}"]
    if circle is not None:
        return list(circle_cells(*circle))
    return [f" category {category}"] if category else [ANYTHING]


def listing_anchors(
    seller_id: UUID, place: tuple[float, float] | None, categories: Sequence[str]
) -> list[str]:
    """Return the anchors of a listing beside its words; categories are its own and those above it."""
    cells = point_cells(*place) if place else ()
    return [ANYTHING, f" seller {seller_id}", *cells, *(f" category {slug}" for slug in categories)]


# -- words -------------------------------------------------------------------------------------------------------------


def word_cover(query: str) -> Cover:
    """Return words of which every text that fits a tsquery has at least one: few and long where there is a choice."""
    tokens = [(match[0], match[1]) for match in _TOKEN.finditer(query)]
    cover, _ = _either(tokens, 0)
    return cover


def _either(tokens: Sequence[tuple[str, str | None]], at: int) -> tuple[Cover, int]:
    cover, at = _both(tokens, at)
    covers = [cover]
    while at < len(tokens) and tokens[at][0] == "|":
        cover, at = _both(tokens, at + 1)
        covers.append(cover)
    known = [cover for cover in covers if cover is not None]
    return (frozenset().union(*known) if len(known) == len(covers) else None), at


def _both(tokens: Sequence[tuple[str, str | None]], at: int) -> tuple[Cover, int]:
    """Read what is joined by `&` or stands in a phrase: each side must fit, so the better one will do."""
    cover, at = _one(tokens, at)
    while at < len(tokens) and tokens[at][0] not in {"|", ")"}:
        other, at = _one(tokens, at + 1)
        cover = max((cover, other), key=_worth)
    return cover, at


def _one(tokens: Sequence[tuple[str, str | None]], at: int) -> tuple[Cover, int]:
    text, word = tokens[at]
    if text == "!":
        _, at = _one(tokens, at + 1)
        return None, at
    if text == "(":
        cover, at = _either(tokens, at + 1)
        return cover, at + 1
    return frozenset({re.sub(r"\\(.)|''", lambda m: m[1] or "'", word or "")}), at + 1


def _worth(cover: Cover) -> tuple[int, int]:
    """Long words are rarer than short ones, and few better than many."""
    return (0, 0) if not cover else (min(map(len, cover)), -len(cover))


# -- places ------------------------------------------------------------------------------------------------------------


def point_cells(lat: float, lon: float) -> Iterator[str]:
    """Return the cell of a point in every grid."""
    for level in range(LEVELS):
        rows = 1 << level
        row = min(int((lat + 90) * rows / 180), rows - 1)
        column = int((lon + 180) * rows / 180) % (2 * rows)
        yield _cell(level, row, column)


def circle_cells(lat: float, lon: float, radius_m: float) -> Iterator[str]:
    """Return the cells that cover a circle, of the finest grid that does it with few."""
    degrees = min(radius_m / METRES_PER_DEGREE, 180.0) + 1e-6
    south, north = max(lat - degrees, -90.0), min(lat + degrees, 90.0)
    if degrees >= 90 or south <= -90 or north >= 90:
        half_width = 180.0  # a pole is inside: every meridian
    else:
        sine = math.sin(math.radians(degrees)) / math.cos(math.radians(lat))
        half_width = math.degrees(math.asin(min(1.0, sine))) + 1e-6
    chosen: tuple[int, range, range] | None = None
    for level in range(LEVELS):
        rows = 1 << level
        height = range(int((south + 90) * rows / 180), min(int((north + 90) * rows / 180), rows - 1) + 1)
        first = math.floor((lon - half_width + 180) * rows / 180)
        last = math.floor((lon + half_width + 180) * rows / 180)
        width = range(first, min(last, first + 2 * rows - 1) + 1)
        if chosen is not None and len(height) * len(width) > CELLS_MAX:
            break
        chosen = (level, height, width)
    assert chosen is not None
    level, height, width = chosen
    for row, column in product(height, width):
        yield _cell(level, row, column % (2 << level))


def _cell(level: int, row: int, column: int) -> str:
    return f" cell {level} {row} {column}"
