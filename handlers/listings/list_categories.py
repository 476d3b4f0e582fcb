"""Read the category tree."""

from handlers.contract import Caller, Outcome, Stores
from protocols.listings.commands import Categories, Category, ListCategories
from storage.listings.listings_postgres import read_categories


async def list_categories(_command: ListCategories, _caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return the whole tree from its tops, in display order."""
    tops: list[Category] = []
    known: dict[str, Category] = {}
    for row in await read_categories(stores.db):
        category = Category(slug=row.slug, name=row.name, parent=row.parent_slug, children=[])
        known[row.slug] = category
        (known[row.parent_slug].children if row.parent_slug else tops).append(category)
    return Outcome(reply=Categories(items=tops))
