"""What other domains and the channel log may read of listings. Read-only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from protocols.listings.stock import Stock
from protocols.listings.stock_levels import StockLevel, StockRow
from storage.engines.postgres import Connection
from storage.listings.listings_postgres import read_branch
from storage.listings.search_postgres import read_words
from storage.platform.sql import load

_sql = load(__file__, "lookups.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingFacts(StockLevel):
    """A listing as other domains see it."""

    title: str


async def read_listing(db: Connection, listing_id: UUID) -> ListingFacts | None:
    """Return the facts of one listing as of now, or None. Cost: one round trip, one primary key probe, no lock."""
    row = await db.fetchrow(_sql.read_listing, listing_id)
    return ListingFacts(**row) if row else None


async def read_oldest_listings(db: Connection, seller_ids: Sequence[UUID], limit: int) -> list[ListingFacts]:
    """Return the first listings of some sellers that were published, oldest first. Cost: one index range a seller."""
    rows = await db.fetch(_sql.read_oldest_listings, list(seller_ids), limit)
    return [ListingFacts(**row) for row in rows]


async def read_stock(db: Connection, listing_id: UUID) -> tuple[int, Stock] | None:
    """Return the newest value of a listing's stock channel with its number; None for a draft or none.

    Cost: one primary key probe.
    """
    row = await db.fetchrow(_sql.read_stock, listing_id)
    if row is None:
        return None
    stock = StockRow(**row)
    return stock.version, stock.to_view()


async def read_category_branch(db: Connection, slug: str) -> list[str]:
    """Return a category and all its descendants; empty when there is none. Cost: one round trip."""
    return await read_branch(db, slug)


async def read_search_words(db: Connection, text: str) -> str | None:
    """Return a person's text as the query that listings are searched by; None when nothing in it can be searched for.

    Cost: one round trip.
    """
    found = await read_words(db, text)
    return None if found is None else found.words


async def find_categories(db: Connection, slugs: Iterable[str]) -> set[str]:
    """Return those of these slugs that are categories. Cost: one round trip."""
    return {row["slug"] for row in await db.fetch(_sql.find_categories, list(slugs))}


async def read_categories_of(db: Connection, listing_id: UUID) -> list[str]:
    """Return the category of a listing and those above it, in no order. Cost: one round trip, a probe a level."""
    return [row["slug"] for row in await db.fetch(_sql.read_categories_of, listing_id)]
