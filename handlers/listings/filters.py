"""What a search asks for, checked: one reading for searching and for saving."""

from dataclasses import replace

from handlers.listings.rules import has_controls, refuse
from protocols.listings.refusals import CategoryNotFound
from protocols.listings.saved_searches import SearchFilters
from protocols.places import parse_near
from protocols.prices import check_price_range
from storage.engines.postgres import Connection
from storage.listings.listings_postgres import read_branch
from storage.listings.search_postgres import Filters


async def read_filters(db: Connection, asked: SearchFilters, at: str = "") -> Filters:
    """Return the filters with the branch of their category; `at` points to them in the input.

    Raises: InvalidInput, CategoryNotFound.
    """
    filters = _check_filters(asked, at)
    if not asked.category:
        return filters
    branch = await read_branch(db, asked.category)
    if not branch:
        raise CategoryNotFound
    return replace(filters, categories=tuple(branch))


def _check_filters(asked: SearchFilters, at: str) -> Filters:
    """Return the filters, the category still to be looked up. Raises InvalidInput."""
    text = " ".join(asked.q.split())
    if has_controls(text):
        refuse(f"{at}/q", "A search has no control characters")
    check_price_range(asked.min_price, asked.max_price, asked.currency, at)
    return Filters(
        text=text,
        condition=asked.condition,
        min_price=asked.min_price,
        max_price=asked.max_price,
        currency=asked.currency,
        seller_id=asked.seller_id,
        near=parse_near(asked.near, f"{at}/near") if asked.near else None,
        radius_m=asked.radius_m,
    )
