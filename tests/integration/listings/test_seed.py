"""Demo data: complete, the same everywhere, added once and by commands."""

import asyncio

import pytest

from handlers.auctions.demo import LIVE_AUCTIONS
from handlers.auth.demo import PEOPLE
from handlers.listings.demo import LISTING_COUNT, demo_listings
from handlers.listings.demo_goods import CITIES, GOODS
from handlers.settings import Settings
from server.cli.seed import seed

COMPLETE = f"added: {len(PEOPLE)} demo people, {LISTING_COUNT} demo listings, {LIVE_AUCTIONS} demo auctions"
NOTHING = "added: 0 demo people, 0 demo listings, 0 demo auctions"


@pytest.fixture
def settings(database, redis_url, tmp_path):
    return Settings(home=tmp_path, postgres_url=database, redis_url=redis_url)


def test_the_demo_listings_are_the_same_every_time():
    listings = demo_listings()
    assert listings == demo_listings()
    assert len(listings) == LISTING_COUNT
    assert {listing.title for listing in listings} == {good.title for good in GOODS}
    assert {listing.description.rsplit("\n", 1)[-1] for listing in listings} == {city.name for city in CITIES}


async def test_seeding_twice_at_once_and_again_adds_everything_once(settings, empty_shop, pool):
    said = await asyncio.gather(seed(settings), seed(settings))
    assert sorted(said) == sorted([COMPLETE, NOTHING])
    before = await empty_shop.snapshot()
    assert await seed(settings) == NOTHING
    assert await empty_shop.snapshot() == before
    assert await pool.fetchval("SELECT count(*) FROM auctions WHERE status = 'live'") == LIVE_AUCTIONS
    assert await pool.fetchval("SELECT count(*) FROM users") == len(PEOPLE)
    rows = await pool.fetch("SELECT listing_id, title, quantity, auctioned FROM listings ORDER BY listing_id")
    assert [row["title"] for row in rows] == [listing.title for listing in demo_listings()]
    assert [row["auctioned"] for row in rows] == [1] * LIVE_AUCTIONS + [0] * (LISTING_COUNT - LIVE_AUCTIONS)
    for row in (rows[0], rows[-1]):
        (number, kind, _), *later = await empty_shop.events(str(row["listing_id"]))
        assert (number, kind) == (1, "listing_created")
        assert [kind for _, kind, _ in later] == ["stock_moved"] * row["auctioned"]


async def test_a_seed_that_was_killed_goes_on(settings, empty_shop, pool):
    await seed(settings)
    await pool.execute(
        "DELETE FROM listings WHERE listing_id IN "
        "(SELECT listing_id FROM listings ORDER BY listing_id DESC LIMIT 30)"
    )
    assert await seed(settings) == "added: 0 demo people, 30 demo listings, 0 demo auctions"


async def test_demo_listings_are_found_in_their_languages_and_places(settings, empty_shop):
    await seed(settings)
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
