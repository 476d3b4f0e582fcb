"""Find listings: words, filters, distance, facets."""

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.cursors import read_cursor, write_cursor
from handlers.listings.facets import to_facets
from handlers.listings.filters import read_filters
from handlers.listings.rules import refuse
from handlers.listings.views import to_found_listing
from protocols.listings.commands import FoundListings, SearchListings
from storage.listings.search_postgres import Order, search_page


async def search_listings(command: SearchListings, _caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return one page of the active listings that fit, and on the first page the facets of all.

    Raises: InvalidInput, CategoryNotFound.
    """
    order = _choose_order(command)
    after = read_cursor(command, order)
    filters = await read_filters(stores.db, command)
    page = await search_page(stores.db, filters, order, command.limit, after)
    found = FoundListings(
        items=[to_found_listing(row) for row in page.rows],
        next_cursor=write_cursor(page.next, command) if page.next else None,
        facets=to_facets(page.facets) if page.facets else None,
        similar=page.similar,
    )
    return Outcome(reply=found)


def _choose_order(command: SearchListings) -> Order:
    """Return the order asked for or the usual one. Raises InvalidInput."""
    worded = bool(command.q.split())
    if command.sort == "distance" and not command.near:
        refuse("/sort", "The order `distance` needs `near`")
    if command.sort in {"price_asc", "price_desc"} and command.currency is None:
        refuse(
            "/currency", "An order by price names its currency: amounts of different ones are not compared"
        )
    if command.sort is None or (command.sort == "relevance" and not worded):
        return "relevance" if worded else "newest"
    return command.sort
