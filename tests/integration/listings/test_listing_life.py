"""Create, read, change, withdraw: who may, what is refused, what is left behind."""

# ruff: noqa: RUF001 - texts of many scripts are the point

import asyncio

import pytest

from handlers.contract import ANONYMOUS, Caller
from protocols.errors import InvalidInput, KeyReused, NotAllowed, Stale, Unauthenticated
from protocols.listings.commands import ListingNotActive
from protocols.listings.refusals import CategoryNotFound, ListingNotFound
from protocols.values import new_id
from storage.listings.lookups import ListingFacts, read_listing

FULL = {
    "title": "حقيبة سفر 旅行包 🧳",
    "description": "Ligne une\nLigne deux\t– très bien",
    "category": "cycling",
    "condition": "for_parts",
    "price": {"amount": 9_007_199_254_740_991, "currency": "SAR"},
    "location": {"lat": -33.8688, "lon": 151.2093},
    "weight_g": 1,
    "volume_cm3": 1_000_000_000,
    "quantity": 10_000,
    "attributes": {"frame_cm": 56, "colour": "أحمر", "ratio": 0.1, "boxed": True},
}


async def test_a_listing_reads_back_as_it_was_created(shop, seller):
    created = await shop.call("create_listing", seller, **FULL)
    assert {name: created[name] for name in FULL} == FULL
    assert created["seller_id"] == str(seller.id)
    assert (created["status"], created["version"]) == ("active", 1)
    assert created["created_at"] == created["updated_at"]
    assert await shop.call("get_listing", listing_id=created["id"]) == created


async def test_a_listing_of_few_fields_has_defaults(shop, seller):
    created = await shop.create(seller)
    for name in ("price", "location", "weight_g", "volume_cm3"):
        assert created[name] is None
    assert (created["quantity"], created["attributes"]) == (1, {})


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        ("  spaced\u00a0 ", "spaced"),
        ("newer emoji \U0001faea", "newer emoji \U0001faea"),
        ("👨‍👩‍👧 family", "👨‍👩‍👧 family"),
        ("x" * 140, "x" * 140),
        ("🧳" * 140, "🧳" * 140),
    ],
)
async def test_titles_are_trimmed_and_kept(shop, seller, title, kept):
    assert (await shop.create(seller, title=title))["title"] == kept


@pytest.mark.parametrize(
    "text",
    ["\ufdfa" * 10_000, "".join(chr(0x4E00 + i) for i in range(10_000)), "a" * 10_000, "e\u0301" * 5_000],
    ids=["widest", "ideographs", "one word", "accents"],
)
async def test_the_longest_texts_of_any_script_can_be_stored(shop, seller, text):
    created = await shop.create(seller, title=text[:140], description=text)
    assert created["description"] == text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", "   "),
        ("title", "\u200b\u200d"),
        ("title", "x" * 141),
        ("title", "two\nlines"),
        ("title", "bell\u0007"),
        ("title", "line\u2028break"),
        ("title", None),
        ("title", 5),
        ("description", "x" * 10_001),
        ("description", "esc\u001b[31m"),
        ("description", None),
        ("category", ""),
        ("category", None),
        ("condition", "broken"),
        ("condition", None),
        ("price", {"amount": 0, "currency": "EUR"}),
        ("price", {"amount": -5, "currency": "EUR"}),
        ("price", {"amount": 9_007_199_254_740_992, "currency": "EUR"}),
        ("price", {"amount": 1.5, "currency": "EUR"}),
        ("price", {"amount": "5", "currency": "EUR"}),
        ("price", {"amount": 5, "currency": "eur"}),
        ("price", {"amount": 5, "currency": "EUR\n"}),
        ("price", {"amount": 5}),
        ("price", 5),
        ("location", {"lat": 90.1, "lon": 0}),
        ("location", {"lat": 0, "lon": -180.1}),
        ("location", {"lat": "0", "lon": 0}),
        ("location", {"lat": 0}),
        ("location", [0, 0]),
        ("weight_g", 0),
        ("weight_g", -1),
        ("weight_g", 10**9),
        ("volume_cm3", 0),
        ("volume_cm3", 2**40),
        ("quantity", 0),
        ("quantity", 10_001),
        ("quantity", True),
        ("attributes", {"Upper": 1}),
        ("attributes", {"1st": 1}),
        ("attributes", {"a\n": 1}),
        ("attributes", {"": 1}),
        ("attributes", {"x" * 41: 1}),
        ("attributes", {f"a{i}": 1 for i in range(51)}),
        ("attributes", {"a": "x" * 201}),
        ("attributes", {"a": "bell\u0007"}),
        ("attributes", {"a": None}),
        ("attributes", {"a": [1]}),
        ("attributes", {"a": 2**60}),
        ("attributes", {"a": 1e300}),
        ("attributes", [1]),
        ("key", "x" * 65),
    ],
)
async def test_bad_values_are_refused_and_change_nothing(shop, seller, field, value):
    listing = await shop.create(seller)
    before = await shop.snapshot()
    with pytest.raises(InvalidInput) as refused:
        await shop.create(seller, **{field: value})
    assert refused.value.facts["errors"][0]["pointer"].startswith(f"/{field}")
    if field != "key" and not (value is None and field in {"price", "location"}):
        with pytest.raises(InvalidInput):
            await shop.call("update_listing", seller, listing_id=listing["id"], **{field: value})
    assert await shop.snapshot() == before


@pytest.mark.parametrize("field", ["title", "description", "category", "condition"])
async def test_a_missing_field_is_named(shop, seller, field):
    fields = {name: FULL[name] for name in FULL if name != field}
    with pytest.raises(InvalidInput) as refused:
        await shop.call("create_listing", seller, **fields)
    assert refused.value.facts["errors"][0]["pointer"] == f"/{field}"


async def test_an_unknown_category_is_refused(shop, seller):
    listing = await shop.create(seller)
    before = await shop.snapshot()
    for slug in ("no-such", "BAGS", "bags' OR '1'='1"):
        with pytest.raises(CategoryNotFound):
            await shop.create(seller, category=slug)
        with pytest.raises(CategoryNotFound):
            await shop.call("update_listing", seller, listing_id=listing["id"], category=slug)
    assert await shop.snapshot() == before


async def test_strangers_read_but_cannot_change(shop, seller, stranger):
    listing = await shop.create(seller)
    before = await shop.snapshot()
    assert (await shop.call("get_listing", listing_id=listing["id"]))["id"] == listing["id"]
    for verb in ("update_listing", "withdraw_listing"):
        with pytest.raises(NotAllowed):
            await shop.call(verb, stranger, listing_id=listing["id"])
        with pytest.raises(Unauthenticated):
            await shop.call(verb, ANONYMOUS, listing_id=listing["id"])
    with pytest.raises(Unauthenticated):
        await shop.create(ANONYMOUS)
    admin = Caller(user_id=new_id(), roles=frozenset({"user", "admin"}))
    with pytest.raises(NotAllowed):
        await shop.call("withdraw_listing", admin, listing_id=listing["id"])
    assert await shop.snapshot() == before


async def test_unknown_listings_are_not_found(shop, seller):
    missing = str(new_id())
    for verb in ("get_listing", "update_listing", "withdraw_listing"):
        with pytest.raises(ListingNotFound):
            await shop.call(verb, seller, listing_id=missing)
        with pytest.raises(InvalidInput):
            await shop.call(verb, seller, listing_id="17")


async def test_an_update_changes_what_is_given_and_null_clears(shop, seller):
    listing = await shop.call("create_listing", seller, **FULL)
    changed = await shop.call(
        "update_listing",
        seller,
        listing_id=listing["id"],
        title="New",
        price=None,
        attributes=None,
        quantity=3,
    )
    expected = {**listing, "title": "New", "price": None, "attributes": {}, "version": 2}
    expected |= {"quantity": 3, "saleable": 3}
    assert {**changed, "updated_at": listing["updated_at"]} == expected
    assert changed["updated_at"] >= listing["updated_at"]
    cleared = await shop.call(
        "update_listing", seller, listing_id=listing["id"], location=None, weight_g=None, volume_cm3=None
    )
    assert [cleared[n] for n in ("location", "weight_g", "volume_cm3")] == [None, None, None]
    assert await shop.call("get_listing", listing_id=listing["id"]) == cleared


@pytest.mark.parametrize("field", ["title", "description", "category", "condition", "quantity"])
async def test_required_fields_cannot_be_cleared(shop, seller, field):
    listing = await shop.create(seller)
    with pytest.raises(InvalidInput):
        await shop.call("update_listing", seller, listing_id=listing["id"], **{field: None})


async def test_an_update_that_changes_nothing_keeps_the_version(shop, seller):
    listing = await shop.call("create_listing", seller, **FULL)
    before = await shop.snapshot()
    assert await shop.call("update_listing", seller, listing_id=listing["id"]) == listing
    assert await shop.call("update_listing", seller, listing_id=listing["id"], **FULL) == listing
    assert await shop.snapshot() == before


async def test_a_stale_update_is_refused_with_the_current_version(shop, seller):
    listing = await shop.create(seller)
    await shop.call("update_listing", seller, listing_id=listing["id"], title="Second", if_match=1)
    before = await shop.snapshot()
    with pytest.raises(Stale) as refused:
        await shop.call("update_listing", seller, listing_id=listing["id"], title="Third", if_match=1)
    assert refused.value.facts == {"version": 2}
    assert await shop.snapshot() == before


async def test_of_concurrent_updates_from_one_version_exactly_one_wins(shop, seller):
    listing = await shop.create(seller)
    results = await asyncio.gather(
        *(
            shop.call("update_listing", seller, listing_id=listing["id"], title=f"T{n}", if_match=1)
            for n in range(8)
        ),
        return_exceptions=True,
    )
    won = [result for result in results if isinstance(result, dict)]
    assert len(won) == 1
    assert all(isinstance(result, Stale) for result in results if not isinstance(result, dict))
    assert await shop.call("get_listing", listing_id=listing["id"]) == won[0]


async def test_a_withdrawn_listing_is_readable_not_found_by_search_and_fixed(shop, seller):
    listing = await shop.create(seller, title="Zanzibarbag")
    assert (await shop.search(q="zanzibarbag"))["items"][0]["id"] == listing["id"]
    withdrawn = await shop.call("withdraw_listing", seller, listing_id=listing["id"])
    assert (withdrawn["status"], withdrawn["version"]) == ("withdrawn", 2)
    assert await shop.call("withdraw_listing", seller, listing_id=listing["id"]) == withdrawn
    assert await shop.call("get_listing", listing_id=listing["id"]) == withdrawn
    found = await shop.search(q="zanzibarbag")
    assert listing["id"] not in [item["id"] for item in found["items"]]
    with pytest.raises(ListingNotActive) as refused:
        await shop.call("update_listing", seller, listing_id=listing["id"], title="Back")
    assert refused.value.facts == {"listing_status": "withdrawn"}


async def test_a_sold_listing_cannot_be_withdrawn(shop, seller):
    listing = await shop.create(seller)
    await shop.pool.execute("UPDATE listings SET status = 'sold' WHERE listing_id = $1", listing["id"])
    with pytest.raises(ListingNotActive):
        await shop.call("withdraw_listing", seller, listing_id=listing["id"])


async def test_the_audit_events_replay_to_the_listing(shop, seller):
    listing = await shop.call("create_listing", seller, **FULL)
    steps = [{"title": "B", "price": None}, {"location": {"lat": 1, "lon": 2}}, {"attributes": {"x": 1}}]
    for step in steps:
        await shop.call("update_listing", seller, listing_id=listing["id"], **step)
    final = await shop.call("withdraw_listing", seller, listing_id=listing["id"])
    events = await shop.events(listing["id"])
    assert [(number, kind) for number, kind, _ in events] == [
        (1, "listing_created"),
        *((n, "listing_updated") for n in (2, 3, 4)),
        (5, "listing_withdrawn"),
    ]
    state = events[0][2]["listing"]
    for number, kind, data in events[1:]:
        assert data["by"] == str(seller.id)
        changes = {"status": "withdrawn"} if kind == "listing_withdrawn" else data["changes"]
        state = {**state, **changes, "version": number, "updated_at": data["at"]}
    assert {**state, "updated_at": final["updated_at"]} == final


async def test_a_repeated_key_lists_once(shop, seller):
    first = await shop.create(seller, key="k1")
    assert await shop.create(seller, key="k1") == first
    with pytest.raises(KeyReused):
        await shop.create(seller, key="k1", title="Other")
    assert await shop.pool.fetchval("SELECT count(*) FROM listings WHERE seller_id = $1", seller.id) == 1


async def test_the_category_tree_has_other_and_no_orphans(shop):
    tree = await shop.call("list_categories")
    seen: list[str] = []

    def visit(categories: list[dict], parent: str | None) -> None:
        for category in categories:
            assert category["parent"] == parent
            seen.append(category["slug"])
            visit(category["children"], category["slug"])

    visit(tree["items"], None)
    assert len(seen) == len(set(seen)) == await shop.pool.fetchval("SELECT count(*) FROM categories")
    assert len(seen) > 90
    assert tree["items"][-1]["slug"] == "other"


async def test_other_domains_read_the_facts_of_a_listing(shop, seller):
    listing = await shop.create(seller, price={"amount": 700, "currency": "EUR"}, quantity=2)
    async with shop.pool.acquire() as db, db.transaction():
        facts = await read_listing(db, listing["id"])
        assert isinstance(facts, ListingFacts)
        assert (str(facts.listing_id), facts.seller_id, facts.status) == (listing["id"], seller.id, "active")
        assert (facts.title, facts.price_minor, facts.currency, facts.quantity, facts.saleable) == (
            "Leather bag",
            700,
            "EUR",
            2,
            2,
        )
        assert await read_listing(db, new_id()) is None
