"""Search: full text, spelling, distance and filters over listings, page by page, with facets.

A statement is put together from the named pieces of `search_pieces.sqlt`; every value travels as a parameter, and a
plan is made for the values at hand. Pages are cut by the key of the last row, never by an offset, so what is listed
meanwhile moves nothing. Facets and relevance look at the newest `MATCHES_MAX` matches, which bounds the cost of a
search.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import msgspec

from protocols.goods import Condition
from protocols.listings.stock_levels import StockLevel
from protocols.texts import fold, fold_query
from storage.engines.postgres import Connection
from storage.listings.photos_postgres import PhotoRow
from storage.platform.sql import load, read_statements

if TYPE_CHECKING:
    from asyncpg import Record

MATCHES_MAX = 10_000
"""How many matches, newest first, facets count and relevance compares."""

SIMILAR_MAX = 2_000
"""The same for titles spelt like the text: comparing one takes ten times as long as comparing words."""

SAMPLE_SIZE = 500
"""How many of the newest titles tell whether most are spelt like the text or few; 2 ms."""

OFTEN_FROM = 0.2
"""From this share of titles on, reading the newest ones finds `SIMILAR_MAX` sooner than collecting all by the index."""

BAND_STARTS = (
    0,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
)
"""Where price bands begin, in minor units; the last has no end."""

RINGS_M = (5_000, 50_000, 500_000, 2_000_000, 5_000_000, 10_000_000)
"""The nearest are looked for in growing circles: a page seldom needs the whole radius."""

NEXT_RING = 1.05
"""A later page is looked for in this much more than what the pages before have reached."""

SortKey = int | float | None
Order = Literal["relevance", "newest", "price_asc", "price_desc", "distance"]

_sql = load(__file__, "search.sql")
_PIECES: dict[str, str] = {
    name: re.sub(r"^--.*\n", "", text, flags=re.MULTILINE).strip().removesuffix(";")
    for name, text in read_statements(Path(__file__).with_name("search_pieces.sqlt")).items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a match must have; None or empty means anything."""

    text: str = ""
    categories: tuple[str, ...] = ()
    condition: str | None = None
    min_price: int | None = None
    max_price: int | None = None
    currency: str | None = None
    seller_id: UUID | None = None
    near: tuple[float, float] | None = None
    """Latitude and longitude in degrees."""
    radius_m: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """The last row of a page: the next one begins behind it."""

    key: SortKey
    listing_id: UUID
    similar: bool = False
    """The pages show titles spelt like the text rather than listings with its words."""
    bound: UUID | None = None
    """The newest listing when the first page was read: later ones would shift relevance's bounded matches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRow(StockLevel):
    """A match as the table keeps it, and how far it is."""

    title: str
    category: str
    condition: Condition
    lat: float | None
    lon: float | None
    weight_g: int | None
    volume_cm3: int | None
    photo: PhotoRow | None
    """The first one."""
    created_at_ms: int
    updated_at_ms: int
    distance_m: float | None


_COLUMNS = tuple(column.name for column in fields(FoundRow))


class FacetRow(msgspec.Struct, frozen=True, array_like=True):
    """How many of the bounded matches share some columns; the others are None."""

    kind: int
    """Which columns: `BY_CATEGORY`, `BY_CONDITION` or `BY_PRICE`."""
    category: str | None
    condition: str | None
    currency: str | None
    band: int | None
    """A place in `BAND_STARTS` from 1; None without a price."""
    count: int


BY_CATEGORY, BY_CONDITION, BY_PRICE = 0b0111, 0b1011, 0b1100
"""Kinds of facets: a bit for each of category, condition, currency and band that was not grouped by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FacetRows:
    """Counts over the newest matches, `most` at most."""

    rows: list[FacetRow]
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPage:
    """One page; `next` is None on the last, facets are None on all but the first."""

    rows: list[FoundRow]
    next: After | None
    facets: FacetRows | None
    similar: bool = False


class _Statement:
    """A statement in the making: names in braces become fragments of SQL or numbered parameters."""

    def __init__(self, fragments: Mapping[str, str], values: Mapping[str, Any]) -> None:
        self._fragments = fragments
        self._values = values
        self._numbers: dict[str, int] = {}
        self.arguments: list[Any] = []

    def __getitem__(self, name: str) -> str:
        if name in self._fragments:
            return self.text(self._fragments[name])
        if name not in self._numbers:
            self.arguments.append(self._values[name])
            self._numbers[name] = len(self.arguments)
        return f"${self._numbers[name]}"

    def text(self, template: str) -> str:
        """Return the template with every name resolved."""
        return template.format_map(self)


def pieces_over(template: str, columns: Mapping[str, str]) -> str:
    """Return a statement with the fragments of the search in it, over columns of another table, not parameters."""
    return _Statement({**_PIECES, **columns}, {}).text(template)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What is searched for: `words` for full text, `folded` for spelling; both empty when nothing is."""

    words: str = ""
    ranked: str = ""
    """What matches are compared by: stems and the words as they were typed."""
    folded: str = ""
    often: bool = False
    """Many titles are spelt like `folded`."""

    @property
    def matches_max(self) -> int:
        """How many matches, newest first, are counted and compared."""
        return SIMILAR_MAX if self.folded else MATCHES_MAX


async def search_page(
    db: Connection, filters: Filters, order: Order, limit: int, after: After | None
) -> FoundPage:
    """Return the page of matches behind `after`, from the beginning when it is None.

    A text that no active listing has in words finds titles spelt like it instead; the cursor keeps that choice.
    Cost: one read-only snapshot, four to fourteen round trips; the indexes are named in `search_pieces.sqlt`.
    """
    async with db.transaction(isolation="repeatable_read", readonly=True):
        await db.execute(_sql.plan_search)
        found = await _choose_words(db, filters.text, after)
        if found is None:
            return FoundPage(
                rows=[], next=None, facets=FacetRows(rows=[], most=MATCHES_MAX) if after is None else None
            )
        search = _Search(db, filters, found, after)
        if order == "relevance":
            return await search.by_score(limit)
        return await search.by_key(order, limit)


async def read_words(db: Connection, text: str) -> Words | None:
    """Return a text as tsqueries' texts and folded; None when nothing in it can be searched for. Cost: one trip."""
    row = await db.fetchrow(_sql.read_words, fold_query(text))
    assert row is not None
    if row["words"] is None:
        return None
    return Words(words=row["words"], ranked=row["ranked"], folded=fold(text))


async def _choose_words(db: Connection, text: str, after: After | None) -> Words | None:
    """Return how to search for the text; None when nothing in it can be searched for."""
    if not text:
        return Words()
    found = await read_words(db, text)
    if found is None:
        return None
    similar = after.similar if after is not None else not await db.fetchval(_sql.has_words, found.words)
    if not similar:
        return replace(found, folded="")
    share = await db.fetchval(_sql.sample_similar, found.folded, SAMPLE_SIZE)
    return Words(folded=found.folded, often=share >= OFTEN_FROM)


def _photo(record: "Record") -> dict[str, PhotoRow | None]:
    text = record["photo"]
    return {"photo": None if text is None else msgspec.json.decode(text, type=PhotoRow)}


class _Search:
    """One search within its snapshot."""

    def __init__(self, db: Connection, filters: Filters, found: Words, after: After | None) -> None:
        self._db = db
        self._filters = filters
        self._found = found
        self._after = after

    async def by_score(self, limit: int) -> FoundPage:
        """Return a page of the bounded matches, best first."""
        after = self._after
        facets = "facets" if after is None else "no_facets"
        statement = self._statement(
            self._filters,
            after=_PIECES["after_relevance" if after else "no_condition"],
            facets=_PIECES[facets],
            limit=limit + 1,
        )
        records = await self._fetch(statement, "page_by_score")
        counted = None
        if after is None:
            counted = self._read_facets(records[0]["facets"] if records else None)
        bound = None
        if records:
            bound = after.bound if after else records[0]["bound"]
        return self._page(records, limit, counted, bound)

    async def by_key(self, order: Order, limit: int) -> FoundPage:
        """Return a page along an index; the facets of a first page are counted by a statement of their own."""
        records: list[Record] = []
        for radius_m in self._radii(order):
            statement = self._statement(
                replace(self._filters, radius_m=radius_m),
                after=_PIECES[f"after_{order}" if self._after else "no_condition"],
                sort_key=_PIECES[f"key_{order}"],
                order=_PIECES[f"order_{order}"],
                limit=limit + 1,
            )
            records = await self._fetch(
                statement, "page_by_distance" if order == "distance" else "page_by_key"
            )
            if len(records) > limit:
                break
        facets = None
        if self._after is None:
            unscored = _PIECES["no_value"]
            statement = self._statement(self._filters, facets=_PIECES["facets"], score=unscored)
            (row,) = await self._fetch(statement, "count_matches")
            facets = self._read_facets(row["facets"])
        return self._page(records, limit, facets, None)

    def _read_facets(self, text: str | None) -> FacetRows:
        rows = [] if text is None else msgspec.json.decode(text, type=list[FacetRow])
        return FacetRows(rows=rows, most=self._found.matches_max)

    def _radii(self, order: Order) -> list[int]:
        """Return the circles to try, the asked one last."""
        radius_m = self._filters.radius_m
        if order != "distance":
            return [radius_m]
        reached_m = float(self._after.key or 0) if self._after else 0.0
        next_m = math.ceil(reached_m * NEXT_RING)
        return [
            *(ring for ring in (next_m, *RINGS_M) if max(reached_m, next_m - 1) < ring < radius_m),
            radius_m,
        ]

    def _page(
        self, records: "list[Record]", limit: int, facets: FacetRows | None, bound: UUID | None
    ) -> FoundPage:
        similar = bool(self._found.folded)
        rows = [
            FoundRow(**{name: record[name] for name in _COLUMNS} | _photo(record))
            for record in records[:limit]
        ]
        last = None
        if len(records) > limit:
            record = records[limit - 1]
            last = After(
                key=record["sort_key"], listing_id=record["listing_id"], similar=similar, bound=bound
            )
        return FoundPage(rows=rows, next=last, facets=facets, similar=similar)

    async def _fetch(self, statement: _Statement, name: str) -> "list[Record]":
        text = statement.text(_PIECES[name])
        return await self._db.fetch(text, *statement.arguments)

    def _statement(self, filters: Filters, **extra: Any) -> _Statement:  # noqa: ANN401 - SQL fragments and values
        """Return a statement over these filters; strings in `extra` are fragments, the rest are values."""
        after = self._after
        lat, lon = filters.near or (None, None)
        values = {
            "words": self._found.words,
            "ranked": self._found.ranked,
            "folded": self._found.folded,
            "categories": list(filters.categories),
            "condition": filters.condition,
            "min_price": filters.min_price or 0,
            "max_price": 9_007_199_254_740_991 if filters.max_price is None else filters.max_price,
            "currency": filters.currency,
            "seller_id": filters.seller_id,
            "lat": lat,
            "lon": lon,
            "radius_m": filters.radius_m,
            "after_key": after.key if after else None,
            "after_id": after.listing_id if after else None,
            "bound": after.bound if after else None,
            "matches_max": self._found.matches_max,
            "band_starts": list(BAND_STARTS),
        }
        fragments = {
            "point": _PIECES["point"],
            "words_query": _PIECES["words_query"],
            "ranked_query": _PIECES["ranked_query"],
            "columns": _PIECES["columns"],
            "matches": _PIECES["matches"],
            "distance": _PIECES["key_distance" if filters.near else "no_value"],
            "score": self._score(),
            "filters": " AND ".join(_PIECES[f"filter_{name}"] for name in self._filter_names(filters)),
        }
        for name, value in extra.items():
            (fragments if isinstance(value, str) else values)[name] = value
        return _Statement(fragments, values)

    def _score(self) -> str:
        if self._found.words:
            return _PIECES["score_words"]
        return _PIECES["score_similar" if self._found.folded else "no_value"]

    def _filter_names(self, filters: Filters) -> list[str]:
        asked = {  # the cheap ones first: that is how a row is judged
            "active": True,
            "bound": self._after and self._after.bound,
            "category": filters.categories,
            "condition": filters.condition,
            "price": filters.min_price is not None or filters.max_price is not None,
            "currency": filters.currency,
            "seller": filters.seller_id,
            "near": filters.near,
            "words": self._found.words,
            "similar": self._found.folded and not self._found.often,
            "often_similar": self._found.often,
        }
        return [name for name, wanted in asked.items() if wanted]
