"""Saved searches as they are checked, filed and shown."""

from msgspec import Struct

from handlers.listings.filters import read_filters
from handlers.listings.rules import refuse
from handlers.listings.searches.anchor_rules import search_anchors
from protocols.labels import check_label
from protocols.listings.saved_searches import SavedSearch, SearchFilters
from protocols.values import to_timestamp
from storage.engines.postgres import Connection
from storage.listings.saved_searches_postgres import SearchRow
from storage.listings.search_postgres import Filters, read_words


class Filed(Struct, frozen=True):
    """Filters ready to be stored: checked, with the words' query and the anchors."""

    filters: Filters
    words: str | None
    anchors: list[str]


async def file_search(db: Connection, asked: SearchFilters) -> Filed:
    """Return the filters of a search to be kept. Raises InvalidInput, CategoryNotFound."""
    if asked == SearchFilters(radius_m=asked.radius_m):
        refuse("/filters", "A saved search asks for something: words, a category, a price …")
    filters = await read_filters(db, asked, "/filters")
    words = None
    if filters.text:
        found = await read_words(db, filters.text)
        if found is None:
            refuse("/filters/q", "There is nothing to search for in this text")
        words = found.words
    circle = (*filters.near, float(filters.radius_m)) if filters.near else None
    return Filed(filters, words, search_anchors(words, filters.seller_id, circle, asked.category or None))


def check_name(name: str) -> str:
    """Return the name without outer white space. Raises InvalidInput."""
    return check_label(name, "/name", "A name")


def to_saved_search(row: SearchRow) -> SavedSearch:
    """Return a saved search as its owner sees it."""
    return SavedSearch(
        id=row.search_id,
        name=row.name,
        filters=row.filters,
        notify=row.notify,
        created_at=to_timestamp(row.created_at_ms),
        updated_at=to_timestamp(row.updated_at_ms),
    )
