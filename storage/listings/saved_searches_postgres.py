"""Saved searches, and which of them a listing fits: the predicate of the search with columns in place of parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from protocols.listings.saved_searches import SearchFilters
from protocols.texts import FOLD_VERSION
from protocols.values import to_json
from storage.engines.postgres import Connection
from storage.listings.search_postgres import Filters, pieces_over
from storage.platform.sql import load, read_statements

if TYPE_CHECKING:
    from asyncpg import Record

_sql = load(__file__, "saved_searches.sql")
_COLUMNS = {
    "words_query": "asked_words",
    "condition": "asked_condition",
    "min_price": "asked_min_price",
    "max_price": "asked_max_price",
    "currency": "asked_currency",
    "seller_id": "asked_seller_id",
    "point": "asked_point",
    "radius_m": "asked_radius_m",
    "listing_id": "$1",
    "anchors": "$2",
    "categories": "$3",
    "limit": "$4",
    "at_ms": "$5",
}
_MATCH = pieces_over(
    read_statements(Path(__file__).with_name("match_searches.sqlt"))["match_searches"], _COLUMNS
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRow:
    """A saved search as its owner knows it."""

    search_id: UUID
    user_id: UUID
    name: str
    notify: bool
    filters: SearchFilters
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRow:
    """A saved search that a listing fits."""

    search_id: UUID
    user_id: UUID
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingToMatch:
    """What matching needs to know of an active listing beside its words."""

    listing_id: UUID
    seller_id: UUID
    title: str
    price_minor: int | None
    currency: str | None
    lat: float | None
    lon: float | None
    categories: list[str]
    """Its own and those above it."""
    photo_id: str | None


async def lock_user(db: Connection, user_id: UUID) -> None:
    """Let nobody else add searches for this user until commit. Cost: one round trip."""
    await db.execute(_sql.lock_user, user_id)


async def count_searches(db: Connection, user_id: UUID) -> int:
    """Return how many searches a user keeps. Cost: one index range."""
    return int(await db.fetchval(_sql.count_searches, user_id))


async def insert_search(
    db: Connection, row: SearchRow, filters: Filters, words: str | None, anchors: Sequence[str]
) -> None:
    """Add a saved search. Cost: two round trips."""
    await db.execute(_sql.insert_search, *_arguments(row, filters, words))
    await db.execute(_sql.insert_anchors, row.search_id, list(anchors))


async def update_search_row(
    db: Connection, row: SearchRow, filters: Filters, words: str | None, anchors: Sequence[str]
) -> None:
    """Write a locked saved search back, filed anew. Cost: three round trips."""
    await db.execute(_sql.update_search, *_arguments(row, filters, words))
    await db.execute(_sql.delete_anchors, row.search_id)
    await db.execute(_sql.insert_anchors, row.search_id, list(anchors))


def _arguments(row: SearchRow, filters: Filters, words: str | None) -> list[Any]:
    priced = filters.min_price is not None or filters.max_price is not None
    highest = 9_007_199_254_740_991 if filters.max_price is None else filters.max_price
    lat, lon = filters.near or (None, None)
    return [
        row.search_id,
        row.user_id,
        row.name,
        row.notify,
        to_json(row.filters).decode(),
        row.created_at_ms,
        row.updated_at_ms,
        words,
        row.filters.category or None,
        filters.condition,
        (filters.min_price or 0) if priced else None,
        highest if priced else None,
        filters.currency,
        filters.seller_id,
        lon,
        lat,
        filters.radius_m if filters.near else None,
        FOLD_VERSION,
    ]


async def lock_search(db: Connection, search_id: UUID, user_id: UUID) -> SearchRow | None:
    """Return a user's saved search, or None; nobody else changes it until commit. Cost: one round trip."""
    record = await db.fetchrow(_sql.lock_search, search_id, user_id)
    return None if record is None else _to_row(record)


async def lock_unfolded(db: Connection, after: UUID, limit: int) -> list[SearchRow]:
    """Return saved searches above an id that another version of the spelling folded, locked. Cost: one round trip."""
    return [_to_row(row) for row in await db.fetch(_sql.list_unfolded, after, FOLD_VERSION, limit)]


async def write_folded(db: Connection, search_id: UUID, words: str | None, anchors: Sequence[str]) -> None:
    """Write what a locked saved search looks for, filed anew. Cost: three round trips."""
    await db.execute(_sql.write_folded, search_id, words, FOLD_VERSION)
    await db.execute(_sql.delete_anchors, search_id)
    await db.execute(_sql.insert_anchors, search_id, list(anchors))


async def delete_search_row(db: Connection, search_id: UUID, user_id: UUID) -> bool:
    """Forget a user's saved search and what it was told; False when there is none. Cost: one round trip."""
    return await db.fetchval(_sql.delete_search, search_id, user_id) is not None


async def list_searches(db: Connection, user_id: UUID, before: UUID, limit: int) -> list[SearchRow]:
    """Return a user's saved searches below an id, newest first. Cost: one index range."""
    return [_to_row(record) for record in await db.fetch(_sql.list_searches, user_id, before, limit)]


async def read_to_match(db: Connection, listing_id: UUID) -> ListingToMatch | None:
    """Return what matching needs of an active listing, or None. Cost: one round trip, a handful of probes."""
    record = await db.fetchrow(_sql.read_facts, listing_id)
    return None if record is None else ListingToMatch(**record)


async def match_listing(
    db: Connection, listing: ListingToMatch, anchors: Sequence[str], limit: int, now_ms: int
) -> int:
    """Note the searches that come to fit a listing, at most `limit`; return how many.

    Cost: one round trip; one index probe per word of the listing, then the predicate per candidate.
    """
    found: int = await db.fetchval(
        _MATCH, listing.listing_id, list(anchors), listing.categories, limit, now_ms
    )
    return found


async def take_unnotified(db: Connection, listing_id: UUID, limit: int) -> list[MatchRow]:
    """Return searches whose owners are not notified of a listing yet; from now on they count as notified.

    Cost: one index range.
    """
    return [MatchRow(**row) for row in await db.fetch(_sql.take_unnotified, listing_id, limit)]


async def delete_unnotified(db: Connection, listing_id: UUID) -> None:
    """Forget who has not been notified of a listing. Cost: one index range."""
    await db.execute(_sql.delete_unnotified, listing_id)


def _to_row(record: "Record") -> SearchRow:
    return SearchRow(
        **{**dict(record), "filters": msgspec.json.decode(record["filters"], type=SearchFilters)}
    )
