"""Saved searches: kept, matched by the predicate of the search, told once, a page of people at a time."""

import asyncio
import json
import random
import sys
from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest

from handlers.contract import Caller
from handlers.listings import DOMAIN
from handlers.listings.searches.match_searches import match_searches
from handlers.listings.searches.notify_matches import notify_matches
from protocols.errors import InvalidInput
from protocols.listings.refusals import CategoryNotFound
from protocols.listings.saved_searches import SEARCHES_MAX, SearchNotFound, TooManySearches
from protocols.values import new_id
from tests.support.domains import timer_handlers

TIMERS = timer_handlers(DOMAIN)
MIGRATIONS = Path(__file__).parents[3] / "storage" / "migrations"

matching, telling = (sys.modules[verb.__module__] for verb in (match_searches, notify_matches))


def somebody() -> Caller:
    return Caller(user_id=new_id(), session_id=new_id(), roles=frozenset({"user"}))


@pytest.fixture
def fan() -> Caller:
    return somebody()


async def save(shop, caller, name="mine", **filters):
    notify = filters.pop("notify", True)
    return await shop.call("save_search", caller, name=name, filters=filters, notify=notify)


async def tell(shop) -> int:
    """Run the reactions and timers that are due; return how many timers ran."""
    ran = 0
    await shop.react()
    for kind in ("match_searches", "notify_matches"):
        while done := await shop.pipeline.run_timers(kind, TIMERS[kind], 500):
            ran += len(done)
    return ran


async def told(shop, caller):
    rows = await shop.pool.fetch(
        "SELECT data FROM events WHERE stream = $1 ORDER BY number", f"personal:#{caller.id}"
    )
    return [json.loads(row["data"]) for row in rows]


async def test_searches_are_kept_listed_changed_and_deleted(shop, fan, stranger):
    filters = {
        "q": "steel bike",
        "category": "sports",
        "max_price": 50_000,
        "currency": "EUR",
        "near": "52.5,13.4",
    }
    first = await save(shop, fan, " Bikes ", **filters)
    assert (first["name"], first["notify"]) == ("Bikes", True)
    assert {name: first["filters"][name] for name in filters} == filters
    second = await save(shop, fan, q="lamp", notify=False)
    page = await shop.call("list_searches", fan, limit=1)
    rest = await shop.call("list_searches", fan, limit=1, cursor=page["next_cursor"])
    assert (page["items"], rest["items"], rest["next_cursor"]) == ([second], [first], None)
    changed = await shop.call(
        "update_search",
        fan,
        search_id=second["id"],
        name="Lamps",
        notify=True,
        filters={"category": "lighting"},
    )
    assert (changed["name"], changed["notify"], changed["filters"]["category"]) == ("Lamps", True, "lighting")
    for verb in ("update_search", "delete_search"):
        for search_id in (first["id"], str(new_id())):
            with pytest.raises(SearchNotFound):
                await shop.call(verb, stranger, search_id=search_id)
    assert (await shop.call("list_searches", stranger))["items"] == []
    await shop.call("delete_search", fan, search_id=first["id"])
    with pytest.raises(SearchNotFound):
        await shop.call("delete_search", fan, search_id=first["id"])


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"filters": {}}, "/filters"),
        ({"filters": {"radius_m": 5}}, "/filters"),
        ({"filters": {"q": "🧳"}}, "/filters/q"),
        ({"filters": {"q": "bell\u0007"}}, "/filters/q"),
        ({"filters": {"near": "91,0"}}, "/filters/near"),
        ({"filters": {"min_price": 2, "max_price": 1, "currency": "EUR"}}, "/filters/max_price"),
        ({"filters": {"min_price": 2}}, "/filters/currency"),
        ({"filters": {"currency": "XYZ"}}, "/filters/currency"),
        ({"filters": {"condition": "broken"}}, "/filters/condition"),
        ({"filters": {"q": "x"}, "name": " "}, "/name"),
        ({"filters": {"q": "x"}, "name": "a\nb"}, "/name"),
        ({"filters": {"q": "x"}, "name": "x" * 101}, "/name"),
    ],
)
async def test_bad_searches_are_refused(shop, fan, fields, pointer):
    with pytest.raises(InvalidInput) as refused:
        await shop.call("save_search", fan, **{"name": "mine", **fields})
    assert refused.value.facts["errors"][0]["pointer"] == pointer
    assert (await shop.call("list_searches", fan))["items"] == []


async def test_an_unknown_category_is_refused(shop, fan):
    with pytest.raises(CategoryNotFound):
        await save(shop, fan, category="no-such")


async def test_a_user_keeps_at_most_so_many(shop, fan):
    few = asyncio.Semaphore(8)  # all at once would wait for connections longer than a command may

    async def save_one(n):
        async with few:
            return await save(shop, fan, q=f"word{n}")

    wishes = [save_one(n) for n in range(SEARCHES_MAX + 5)]
    results = await asyncio.gather(*wishes, return_exceptions=True)
    assert Counter(type(result) for result in results) == {dict: SEARCHES_MAX, TooManySearches: 5}


async def test_a_published_listing_tells_those_whose_search_it_fits(empty_shop, seller, fan):
    fits = await save(
        empty_shop, fan, "bags", q="leather bags", category="fashion", max_price=3_000, currency="EUR"
    )
    also = await save(empty_shop, fan, "cheap", max_price=3_000, currency="EUR")
    await save(empty_shop, fan, "silent", q="leather", notify=False)
    await save(empty_shop, fan, "other", q="leather -bag")
    await save(empty_shop, seller, "own", q="leather")
    price = {"amount": 2_500, "currency": "EUR"}
    listing = await empty_shop.create(seller, price=price)
    await tell(empty_shop)
    (event,) = await told(empty_shop, fan)
    searches = sorted(event.pop("searches"), key=lambda search: search["name"])
    assert event | {"at": ""} == {
        "type": "listing_matched",
        "at": "",
        "listing_id": listing["id"],
        "title": "Leather bag",
        "price": price,
        "photo": None,
    }
    assert searches == [{"id": fits["id"], "name": "bags"}, {"id": also["id"], "name": "cheap"}]
    assert await told(empty_shop, seller) == []


async def test_a_draft_tells_nobody_until_it_is_published(empty_shop, seller, fan):
    await save(empty_shop, fan, q="leather")
    draft = await empty_shop.create(seller, draft=True)
    await tell(empty_shop)
    assert await told(empty_shop, fan) == []
    await empty_shop.call("publish_listing", seller, listing_id=draft["id"])
    await tell(empty_shop)
    assert len(await told(empty_shop, fan)) == 1


async def test_a_price_drop_tells_those_it_newly_fits_and_nobody_twice(empty_shop, seller, fan):
    await save(empty_shop, fan, "any price", q="leather")
    await save(empty_shop, fan, "cheap", q="leather", max_price=1_000, currency="EUR")
    listing = await empty_shop.create(seller, price={"amount": 2_000, "currency": "EUR"})
    await tell(empty_shop)
    for amount in (3_000, 1_000, 900, 2_000, 800):
        price = {"amount": amount, "currency": "EUR"}
        await empty_shop.call("update_listing", seller, listing_id=listing["id"], price=price)
        await tell(empty_shop)
    events = await told(empty_shop, fan)
    assert [[s["name"] for s in event["searches"]] for event in events] == [["any price"], ["cheap"]]
    await empty_shop.call("withdraw_listing", seller, listing_id=listing["id"])
    await empty_shop.call("publish_listing", seller, listing_id=listing["id"])
    await tell(empty_shop)
    assert len(await told(empty_shop, fan)) == 2


async def test_changed_words_tell_nobody(empty_shop, seller, fan):
    await save(empty_shop, fan, q="unicorn")
    listing = await empty_shop.create(seller)
    await tell(empty_shop)
    await empty_shop.call("update_listing", seller, listing_id=listing["id"], title="Unicorn bag")
    await tell(empty_shop)
    assert await told(empty_shop, fan) == []


async def test_what_was_withdrawn_meanwhile_tells_nobody(empty_shop, seller, fan):
    await save(empty_shop, fan, q="leather")
    listing = await empty_shop.create(seller)
    await empty_shop.call("withdraw_listing", seller, listing_id=listing["id"])
    await tell(empty_shop)
    assert await told(empty_shop, fan) == []


async def test_who_was_not_told_before_a_withdrawal_is_told_after_it(empty_shop, seller, fan):
    await save(empty_shop, fan, q="leather")
    listing = await empty_shop.create(seller)
    await empty_shop.react()
    await empty_shop.call("withdraw_listing", seller, listing_id=listing["id"])
    await tell(empty_shop)
    assert await told(empty_shop, fan) == []
    await empty_shop.call("publish_listing", seller, listing_id=listing["id"])
    await tell(empty_shop)
    assert len(await told(empty_shop, fan)) == 1


async def test_a_crowd_is_matched_and_told_page_by_page_each_once(empty_shop, seller, monkeypatch):
    monkeypatch.setattr(matching, "MATCHES_MAX", 10)
    monkeypatch.setattr(telling, "NOTIFIED_MAX", 7)
    fans = [somebody() for _ in range(30)]
    for fan in fans:
        await save(empty_shop, fan, q="leather")
    listing = await empty_shop.create(seller)
    assert await tell(empty_shop) == 3 + 3 + 4  # pages after the first, timers to tell, more of those
    counts = [len(await told(empty_shop, fan)) for fan in fans]
    assert counts == [1] * 30
    async with empty_shop.database.transaction() as db:
        outcomes = await match_searches([UUID(listing["id"])], empty_shop.pipeline._stores(db), 0)
        outcomes += await notify_matches([UUID(listing["id"])], empty_shop.pipeline._stores(db), 0)
    assert not any(outcome.events or outcome.timers for outcome in outcomes)


async def test_two_workers_tell_each_search_once(empty_shop, seller):
    fans = [somebody() for _ in range(10)]
    for fan in fans:
        await save(empty_shop, fan, q="leather")
    listing = await empty_shop.create(seller)
    await empty_shop.pool.execute(
        "INSERT INTO timers (due_at_ms, kind, ref) SELECT 0, 'match_searches', $1 FROM generate_series(1, 4)",
        UUID(listing["id"]),
    )
    for kind in ("match_searches", "notify_matches"):
        await asyncio.gather(*(empty_shop.pipeline.run_timers(kind, TIMERS[kind], 1) for _ in range(5)))
    assert [len(await told(empty_shop, fan)) for fan in fans] == [1] * 10


async def test_a_flood_of_listings_is_matched_a_few_at_a_time(empty_shop, seller, fan, monkeypatch):
    monkeypatch.setattr(matching, "LISTINGS_MAX", 3)
    await save(empty_shop, fan, q="leather")
    for _ in range(8):
        await empty_shop.create(seller)
    await empty_shop.pool.execute("TRUNCATE reactions, reaction_queues")
    await empty_shop.pool.execute(
        "INSERT INTO timers (due_at_ms, kind, ref) SELECT 0, 'match_searches', listing_id FROM listings"
    )
    await tell(empty_shop)
    assert len({event["listing_id"] for event in await told(empty_shop, fan)}) == 8


WORDS = ["bag", "bags", "lamp", "red", "the", "old", "旅行", "vélo", "it's"]


def some_filters(rng: random.Random, seller_ids: list[str]) -> dict[str, object]:
    filters: dict[str, object] = {}
    if rng.random() < 0.7:
        join = rng.choice([" ", " or ", " -"])
        filters["q"] = join.join(rng.choices(WORDS, k=rng.randint(1, 3)))
        if rng.random() < 0.3:
            filters["q"] = f'"{" ".join(rng.choices(WORDS, k=2))}" {rng.choice(["", "-old"])}'
    if rng.random() < 0.3:
        filters["category"] = rng.choice(["bags", "fashion", "lighting", "home", "other"])
    if rng.random() < 0.2:
        filters["condition"] = rng.choice(["new", "used"])
    if rng.random() < 0.3:
        filters[rng.choice(["min_price", "max_price"])] = rng.choice([0, 100, 1_000, 5_000])
        filters["currency"] = rng.choice(["EUR", "USD"])
    elif rng.random() < 0.2:
        filters["currency"] = rng.choice(["EUR", "USD"])
    if rng.random() < 0.2:
        filters["seller_id"] = rng.choice(seller_ids)
    if rng.random() < 0.4:
        filters |= {
            "near": rng.choice(["0,0", "0,179.99", "89.99,5", "-12.5,30"]),
            "radius_m": rng.choice([5_000, 3_000_000]),
        }
    return filters or {"condition": "new"}


async def test_matching_finds_exactly_what_searching_finds(empty_shop):
    shop, rng = empty_shop, random.Random(11)
    sellers = [somebody() for _ in range(3)]
    saved = {}
    for _ in range(250):
        fan = somebody()
        filters = some_filters(rng, [str(seller.id) for seller in sellers])
        try:
            await save(shop, fan, **filters)
        except InvalidInput:  # stop words alone
            continue
        saved[fan] = filters
    for _ in range(60):
        await shop.create(
            rng.choice(sellers),
            title=" ".join(rng.choices(WORDS, k=rng.randint(1, 4))),
            description=" ".join(rng.choices(WORDS, k=rng.randint(0, 4))),
            category=rng.choice(["bags", "lighting", "books", "other"]),
            condition=rng.choice(["new", "used"]),
            price=rng.choice(
                [
                    None,
                    {"amount": rng.choice([99, 100, 1_000, 9_999]), "currency": rng.choice(["EUR", "USD"])},
                ]
            ),
            location=rng.choice(
                [
                    None,
                    {
                        "lat": rng.choice([0, 0.04, 89.99]),
                        "lon": rng.choice([0, 0.03, 180, -179.995, 5, 100]),
                    },
                ]
            ),
        )
    await tell(shop)
    hits = 0
    for fan, filters in saved.items():
        found = await shop.search(**filters, limit=100)
        wanted = set() if found["similar"] else {item["id"] for item in found["items"]}
        assert {event["listing_id"] for event in await told(shop, fan)} == wanted, filters
        hits += len(wanted)
    assert hits > 500


async def test_a_kept_price_without_a_currency_is_dropped_by_the_migration(empty_shop, fan):
    shop = empty_shop
    worded = await save(shop, fan, q="leather", max_price=500, currency="EUR")
    bare = await save(shop, fan, max_price=500, currency="EUR")
    clear = await save(shop, fan, q="lamp", max_price=500, currency="EUR")
    await shop.pool.execute(
        "UPDATE saved_searches SET asked_currency = NULL, filters = (filters::jsonb - 'currency')::json"
        " WHERE search_id <> $1",
        UUID(clear["id"]),
    )
    (migration,) = MIGRATIONS.glob("*_price_searches_in_a_currency.sql")
    await shop.pool.execute(migration.read_text())
    kept = {item["id"]: item for item in (await shop.call("list_searches", fan))["items"]}
    assert kept[clear["id"]] == clear
    assert [kept[each["id"]]["filters"]["max_price"] for each in (worded, bare)] == [None, None]
    assert [kept[each["id"]]["notify"] for each in (worded, bare)] == [True, False]
    renamed = await shop.call("update_search", fan, search_id=worded["id"], name="Leather")
    assert renamed["name"] == "Leather"
