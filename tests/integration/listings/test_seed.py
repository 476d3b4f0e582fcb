"""Demo data: complete, the same everywhere, inserted once."""

import asyncio

from server.cli.demo_data import CITIES, DEMO_SELLER_IDS, GOODS, LISTING_COUNT, demo_listings
from server.cli.seed import LIVE_AUCTIONS, seed


def test_the_demo_listings_are_the_same_every_time():
    rows = demo_listings()
    assert rows == demo_listings()
    assert len({row.listing_id for row in rows}) == LISTING_COUNT
    assert [row.listing_id for row in rows] == sorted(row.listing_id for row in rows)
    assert all(row.listing_id.version == 7 for row in rows)
    assert {row.title for row in rows} == {good.title for good in GOODS}
    assert {row.seller_id for row in rows} == set(DEMO_SELLER_IDS)
    assert {row.description.rsplit("\n", 1)[-1] for row in rows} == {city.name for city in CITIES}


async def test_seeding_twice_at_once_and_again_adds_each_listing_and_auction_once(
    database, redis_url, empty_shop, pool
):
    said = await asyncio.gather(seed(database, redis_url), seed(database, redis_url))
    counts = [[int(word) for word in sentence.split() if word.isdigit()] for sentence in said]
    assert [sum(column) for column in zip(*counts, strict=True)] == [LISTING_COUNT, LIVE_AUCTIONS]
    before = await empty_shop.snapshot()
    assert await seed(database, redis_url) == "0 demo listings and 0 demo auctions added"
    assert await pool.fetchval("SELECT count(*) FROM auctions WHERE status = 'live'") == LIVE_AUCTIONS
    assert await pool.fetchval("SELECT count(*) FROM users") == len(DEMO_SELLER_IDS)
    assert await empty_shop.snapshot() == before
    for place, row in enumerate(demo_listings()):
        (number, kind, data), *later = await empty_shop.events(str(row.listing_id))
        assert (number, kind) == (1, "listing_created")
        shown = await empty_shop.call("get_listing", listing_id=str(row.listing_id))
        if place < LIVE_AUCTIONS:
            assert [(number, kind) for number, kind, _ in later] == [(2, "stock_moved")]
            moved = {name: shown[name] for name in ("version", "auctioned", "saleable", "updated_at")}
            assert (moved["version"], moved["auctioned"], moved["saleable"]) == (2, 1, shown["quantity"] - 1)
            data["listing"] |= moved
        assert data["listing"] == shown


async def test_demo_listings_are_found_in_their_languages_and_places(database, redis_url, empty_shop):
    await seed(database, redis_url)
    for query, category in (
        ("guitar", "musical-instruments"),
        ("جلد", "bags"),
        ("茶具", "ceramics"),
        ("漫画", "comics"),
    ):
        found = await empty_shop.search(q=query)
        assert found["items"][0]["category"] == category
    near_berlin = await empty_shop.search(near="52.52,13.405", radius_m=10_000, sort="distance")
    assert len(near_berlin["items"]) >= 5
    assert all(item["price"]["currency"] == "EUR" for item in near_berlin["items"])
