"""Find listings: words, filters, distance, facets."""

from dataclasses import replace

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.cursors import read_cursor, write_cursor
from handlers.listings.rules import check_currency, has_controls, parse_near, refuse
from handlers.listings.showing import show_found
from protocols.listings import (
    CategoryNotFound,
    Count,
    Facets,
    FoundListings,
    PriceBand,
    PriceBands,
    SearchListings,
)
from storage.listings.listings_postgres import read_branch
from storage.listings.search_postgres import (
    BAND_STARTS,
    MATCHES_MAX,
    FacetRows,
    Filters,
    Order,
    search_page,
)


async def search_listings(command: SearchListings, _caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return one page of the active listings that fit, and on the first page the facets of all.

    Raises: InvalidInput, CategoryNotFound.
    """
    filters = _read_filters(command)
    order = _choose_order(command)
    after = read_cursor(command, order)
    if command.category:
        branch = await read_branch(stores.db, command.category)
        if not branch:
            raise CategoryNotFound
        filters = replace(filters, categories=tuple(branch))
    page = await search_page(stores.db, filters, order, command.limit, after)
    found = FoundListings(
        items=[show_found(row) for row in page.rows],
        next_cursor=write_cursor(page.next, command) if page.next else None,
        facets=_show_facets(page.facets) if page.facets else None,
        similar=page.similar,
    )
    return Outcome(reply=found)


def _read_filters(command: SearchListings) -> Filters:
    """Return the filters, the category still to be looked up. Raises InvalidInput."""
    text = " ".join(command.q.split())
    if has_controls(text):
        refuse("/q", "A search has no control characters")
    low, high = command.min_price, command.max_price
    if low is not None and high is not None and low > high:
        refuse("/max_price", "The highest price is below the lowest")
    return Filters(
        text=text,
        condition=command.condition,
        min_price=low,
        max_price=high,
        currency=check_currency(command.currency, "/currency") if command.currency else None,
        seller_id=command.seller_id,
        near=parse_near(command.near) if command.near else None,
        radius_m=command.radius_m,
    )


def _choose_order(command: SearchListings) -> Order:
    """Return the order asked for or the usual one. Raises InvalidInput."""
    worded = bool(command.q.split())
    if command.sort == "distance" and not command.near:
        refuse("/sort", "The order `distance` needs `near`")
    if command.sort is None or (command.sort == "relevance" and not worded):
        return "relevance" if worded else "newest"
    return command.sort


def _show_facets(rows: FacetRows) -> Facets:
    bands = [_show_band(place, count) for _, place, count in rows.bands]
    return Facets(
        matches=rows.matches,
        capped=rows.matches >= MATCHES_MAX,
        category=[Count(**row) for row in rows.category],
        condition=[Count(**row) for row in rows.condition],
        currency=[Count(**row) for row in rows.currency],
        price=PriceBands(currency=rows.bands[0][0], bands=bands) if bands else None,
    )


def _show_band(place: int, count: int) -> PriceBand:
    """Return the band at a place from 1; the last has no end."""
    to_amount = BAND_STARTS[place] if place < len(BAND_STARTS) else None
    return PriceBand(from_amount=BAND_STARTS[place - 1], to_amount=to_amount, count=count)
