"""Find listings: words, filters, distance, facets."""

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.cursors import read_cursor, write_cursor
from handlers.listings.filters import read_filters
from handlers.listings.rules import refuse
from handlers.listings.showing import show_found
from protocols.listings import (
    Count,
    Facets,
    FoundListings,
    PriceBand,
    PriceBands,
    SearchListings,
)
from storage.listings.search_postgres import (
    BAND_STARTS,
    MATCHES_MAX,
    FacetRows,
    Order,
    search_page,
)


async def search_listings(command: SearchListings, _caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return one page of the active listings that fit, and on the first page the facets of all.

    Raises: InvalidInput, CategoryNotFound.
    """
    order = _choose_order(command)
    after = read_cursor(command, order)
    filters = await read_filters(stores.db, command)
    page = await search_page(stores.db, filters, order, command.limit, after)
    found = FoundListings(
        items=[show_found(row) for row in page.rows],
        next_cursor=write_cursor(page.next, command) if page.next else None,
        facets=_show_facets(page.facets) if page.facets else None,
        similar=page.similar,
    )
    return Outcome(reply=found)


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
