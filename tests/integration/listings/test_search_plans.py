"""Searches of a larger table read indexes, not the table: which plan is made for each kind."""

import json
from dataclasses import replace
from uuid import UUID

import pytest
import pytest_asyncio

from protocols.values import new_id
from storage.listings import listings_postgres, search_postgres
from storage.listings.search_postgres import SIMILAR_MAX, Filters, search_page

PLANNED = {
    "all, newest": (Filters(), "newest", "listings_newest"),
    "condition and currency": (Filters(condition="new", currency="EUR"), "newest", "listings_newest"),
    "condition, dearest": (Filters(condition="new"), "price_desc", "listings_dearest"),
    "category": (Filters(categories=("bags",)), "newest", "listings_category"),
    "a dear few": (Filters(min_price=499_000), "newest", "listings_cheapest"),
    "most prices": (Filters(min_price=1), "newest", "listings_newest"),
    "a circle": (Filters(near=(52.52, 13.405), radius_m=100_000), "newest", "listings_location"),
    "the nearest": (Filters(near=(52.52, 13.405), radius_m=100_000), "distance", "listings_location"),
}

SELLER_ID = new_id()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def large_shop(shop):
    """Five thousand listings of one seller, of which half were sold, one in fifty is a bag and half cost something."""
    await shop.pool.execute(
        "INSERT INTO listings (listing_id, seller_id, status, title, description, category, condition, price_minor,"
        " currency, location, created_at_ms, updated_at_ms, title_folded, words)"
        " SELECT gen_random_uuid(), $1, CASE WHEN n % 2 = 0 THEN 'active' ELSE 'sold' END, 'Lantern', '',"
        " CASE WHEN n % 100 = 0 THEN 'bags' ELSE 'other' END, CASE WHEN n % 4 = 0 THEN 'new' ELSE 'used' END,"
        " CASE WHEN n % 8 < 4 THEN n * 100 END, CASE WHEN n % 8 < 4 THEN 'EUR' END,"
        " ST_MakePoint(n % 360 - 180, n % 140 - 70)::geography, 0, 0, 'lantern', listing_words('lantern', '')"
        " FROM generate_series(1, 5000) AS n",
        SELLER_ID,
    )
    await shop.pool.execute("VACUUM ANALYZE listings")
    return shop


@pytest.fixture
def plans(monkeypatch):
    """The plans of the statements that searches run, by the name of the statement."""
    made = {}
    fetch = search_postgres._Search._fetch

    async def explain(self, statement, name):
        text = statement.text(search_postgres._PIECES[name])
        made[name] = json.loads(
            await self._db.fetchval(f"EXPLAIN (FORMAT JSON) {text}", *statement.arguments)
        )[0]["Plan"]
        return await fetch(self, statement, name)

    monkeypatch.setattr(search_postgres._Search, "_fetch", explain)
    return made


def scans(plan):
    """Every scan of the table: (kind, index)."""
    own = [(plan["Node Type"], plan.get("Index Name"))] if plan.get("Relation Name") == "listings" else []
    return own + [scan for part in plan.get("Plans", []) for scan in scans(part)]


def rows_of(plan):
    """How many rows each scan of the table gave each time, and how many it threw away."""
    own = []
    if plan.get("Relation Name") == "listings":
        own = [plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)]
    return own + [rows for part in plan.get("Plans", []) for rows in rows_of(part)]


@pytest.mark.parametrize("kind", PLANNED)
async def test_filters_and_facets_read_an_index_that_covers_them(large_shop, plans, kind):
    filters, order, index = PLANNED[kind]
    async with large_shop.pool.acquire() as db:
        await search_page(db, filters, order, 20, None)
    counted = scans(plans["count_matches"])
    assert [scan for scan, _ in counted] == ["Index Only Scan"]
    if order == "distance":
        assert set(scans(plans["page_by_distance"])) == {("Index Scan", index)}, "never the index alone"
    else:
        paged = scans(plans["page_by_key"])
        assert set(paged) == {("Index Only Scan", index), ("Index Scan", "listings_pkey")}


@pytest.mark.parametrize(
    ("statuses", "found"), [(("draft",), 0), (("sold",), 20), (("draft", "active", "withdrawn", "sold"), 20)]
)
async def test_a_page_of_own_listings_reads_no_more_than_a_page_of_each_status(large_shop, statuses, found):
    explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {listings_postgres._sql.list_own}"
    asked = (SELLER_ID, UUID(int=2**128 - 1), 20, statuses)
    plan = json.loads(await large_shop.pool.fetchval(explain, *asked))[0]["Plan"]
    assert plan["Actual Rows"] == found
    assert set(scans(plan)) <= {("Index Only Scan", "listings_seller"), ("Index Scan", "listings_pkey")}
    assert max(rows_of(plan)) <= 20


async def test_titles_spelt_alike_are_counted_up_to_a_smaller_bound(large_shop):
    page = await large_shop.search(q="lanturn", limit=1)
    assert (page["similar"], page["facets"]["matches"], page["facets"]["capped"]) == (True, SIMILAR_MAX, True)
    async with large_shop.pool.acquire() as db:
        whole = await search_page(db, replace(Filters(), text="lantern"), "newest", 1, None)
    assert sum(row.count for row in whole.facets.rows if row.kind == search_postgres.BY_CONDITION) == 2_500
