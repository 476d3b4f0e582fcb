"""Every search statement that can be put together runs on the real schema, and no piece is left over."""

from itertools import product

from protocols.values import new_id
from storage.listings import search_postgres
from storage.listings.search_postgres import After, Filters, search_page

FILTERS = (
    Filters(),
    Filters(text="bag"),
    Filters(text="bagg", near=(52.0, 13.0), radius_m=60_000),
    Filters(text="quux"),
    Filters(categories=("bags", "books"), condition="new", min_price=1, currency="EUR", seller_id=new_id()),
    Filters(text="bag", max_price=2, near=(0.0, 0.0), radius_m=20_000_000),
)
KEYS = {"relevance": 0.5, "newest": None, "price_asc": 7, "price_desc": 7, "distance": 7.5}


class Recorder(dict):
    """A dict that remembers what was asked of it."""

    def __init__(self, *args):
        super().__init__(*args)
        self.asked = set()

    def __getitem__(self, name):
        self.asked.add(name)
        return super().__getitem__(name)


async def test_every_search_runs_and_every_piece_is_used(shop, seller, monkeypatch):
    pieces = Recorder(search_postgres._PIECES)
    monkeypatch.setattr(search_postgres, "_PIECES", pieces)
    await shop.create(seller, title="Bag")
    for filters, (order, key), later, similar in product(FILTERS, KEYS.items(), (False, True), (False, True)):
        if (order == "distance" and filters.near is None) or (order == "relevance" and not filters.text):
            continue
        bound = new_id() if order == "relevance" else None
        async with shop.pool.acquire() as db:
            page = await search_page(
                db,
                filters,
                order,
                5,
                After(key=key, listing_id=new_id(), similar=similar, bound=bound) if later else None,
            )
        assert (page.facets is None) == later
    assert pieces.asked == set(pieces)
