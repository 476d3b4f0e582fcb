"""Prohibited goods: what the rules say of goods and a destination, who sets them, what cannot be published."""

from uuid import UUID

import pytest

from handlers.contract import ANONYMOUS, Caller
from protocols.countries import COUNTRIES
from protocols.errors import InvalidInput, NotAllowed, Unauthenticated
from protocols.listings.goods import GoodsProhibited, GoodsRuleNotFound
from protocols.listings.refusals import CategoryNotFound, ListingNotFound
from protocols.values import new_id

IVORY = "Antique ivory tusk, carved"
RULE = {
    "country": "EG",
    "category": "cameras",
    "words": "drone or quadcopter",
    "kind": "prohibited",
    "reason": "Drones need a permit of the ministry.",
    "source": "National aviation rules",
}


@pytest.fixture
def admin() -> Caller:
    return Caller(user_id=new_id(), session_id=new_id(), roles=frozenset({"user", "admin"}))


async def check(shop, destination, caller=ANONYMOUS, **goods):
    return await shop.call("check_goods", caller, destination=destination, **goods)


def test_countries_are_the_assigned_codes_of_iso_3166():
    assert len(COUNTRIES) == 249
    assert {"EG", "DE", "US", "SA", "JP", "BR"} < COUNTRIES
    assert not {"XX", "EU", "UK", "ZZ", "AN"} & COUNTRIES


async def test_a_rule_of_everywhere_holds_in_every_country(shop):
    for destination in ("EG", "JP"):
        verdict = await check(shop, destination, title=IVORY)
        assert (verdict["destination"], verdict["verdict"]) == (destination, "prohibited")
        (reason,) = verdict["reasons"]
        assert (reason["country"], reason["source"]) == ("*", "CITES, Appendix I")


@pytest.mark.parametrize(
    ("destination", "goods", "verdict"),
    [
        ("SA", {"title": "Single malt whisky, 12 years"}, "prohibited"),
        ("DE", {"title": "Single malt whisky, 12 years"}, "allowed"),
        ("SG", {"title": "Mint", "description": "A box of chewing gum"}, "prohibited"),
        ("AU", {"category": "spices"}, "restricted"),
        ("AU", {"category": "food", "title": "Dates"}, "restricted"),
        ("AU", {"category": "books", "title": "Dates"}, "allowed"),
        ("DE", {"category": "electronics-accessories", "title": "Power bank, 20 Ah"}, "restricted"),
        ("DE", {"title": "Ivory silk dress"}, "allowed"),
        ("SA", {"title": "Single malt wh1sky, 12 years"}, "prohibited"),
        ("SA", {"title": "A good w h i s k y"}, "prohibited"),
        ("SA", {"title": "W.H.1.S.K.Y"}, "prohibited"),
        ("SA", {"title": "Size 7 t shirt, 4x4, mp3"}, "allowed"),
        ("SA", {"title": "Letters", "description": ("w " * 500).strip()}, "allowed"),
        ("DE", {"title": "Water pistol, toy"}, "allowed"),
        ("SA", {"title": "Vodka", "description": "with fireworks"}, "prohibited"),
    ],
)
async def test_goods_are_judged_by_category_and_words(shop, destination, goods, verdict):
    assert (await check(shop, destination, **goods))["verdict"] == verdict


async def test_prohibitions_come_first(shop):
    found = await check(shop, "SA", title="Vodka and fireworks")
    assert [reason["kind"] for reason in found["reasons"]] == ["prohibited", "restricted"]


async def test_a_listing_is_judged_as_it_is_and_a_draft_for_its_owner_alone(shop, seller, stranger):
    draft = await shop.create(seller, draft=True, title="Whisky", category="food")
    assert (await check(shop, "KW", seller, listing_id=draft["id"]))["verdict"] == "prohibited"
    for listing_id in (draft["id"], str(new_id())):
        with pytest.raises(ListingNotFound):
            await check(shop, "KW", stranger, listing_id=listing_id)


@pytest.mark.parametrize(
    "fields",
    [
        {"destination": "XX", "title": "x"},
        {"destination": "eg", "title": "x"},
        {"destination": "*", "title": "x"},
        {"destination": "EG"},
        {"destination": "EG", "title": "x", "listing_id": str(UUID(int=7))},
        {"title": "x"},
    ],
    ids=str,
)
async def test_a_question_that_makes_no_sense_is_refused(shop, fields):
    with pytest.raises(InvalidInput):
        await shop.call("check_goods", **fields)


async def test_an_unknown_category_is_refused(shop, admin):
    with pytest.raises(CategoryNotFound):
        await check(shop, "EG", category="no-such")
    with pytest.raises(CategoryNotFound):
        await shop.call("add_goods_rule", admin, **{**RULE, "category": "no-such"})


async def test_what_is_prohibited_everywhere_cannot_be_published(shop, seller):
    before = await shop.snapshot()
    with pytest.raises(GoodsProhibited) as refused:
        await shop.create(seller, title=IVORY)
    assert refused.value.facts["reasons"][0].kind == "prohibited"
    assert await shop.snapshot() == before
    draft = await shop.create(seller, title=IVORY, draft=True)
    with pytest.raises(GoodsProhibited):
        await shop.call("publish_listing", seller, listing_id=draft["id"])
    await shop.call("update_listing", seller, listing_id=draft["id"], title="Resin tusk")
    published = await shop.call("publish_listing", seller, listing_id=draft["id"])
    for fields in ({"title": IVORY}, {"description": "Includes rhino horn."}):
        with pytest.raises(GoodsProhibited):
            await shop.call("update_listing", seller, listing_id=published["id"], **fields)
    price = {"amount": 5, "currency": "EUR"}
    assert (await shop.call("update_listing", seller, listing_id=published["id"], price=price))[
        "version"
    ] == 4


async def test_what_is_prohibited_somewhere_or_restricted_can_be_published(shop, seller):
    for title in ("Vodka glasses and vodka", "Fireworks poster"):
        assert (await shop.create(seller, title=title))["status"] == "active"


async def test_an_administrator_sets_rules_and_every_version_stays(shop, admin):
    drone = {"category": "cameras", "title": "Quadcopter drone"}
    rule = await shop.call("add_goods_rule", admin, **RULE)
    assert {name: rule[name] for name in RULE} == RULE
    assert (rule["version"], rule["removed"]) == (1, False)
    assert (await check(shop, "EG", **drone))["verdict"] == "prohibited"
    assert (await check(shop, "EG", title="Quadcopter drone", category="toys"))["verdict"] == "allowed"
    softer = {**RULE, "kind": "restricted", "category": ""}
    changed = await shop.call("change_goods_rule", admin, rule_id=rule["rule_id"], **softer)
    assert changed["version"] == 2
    assert (await check(shop, "EG", title="Quadcopter drone", category="toys"))["verdict"] == "restricted"
    removed = await shop.call("remove_goods_rule", admin, rule_id=rule["rule_id"])
    assert (removed["version"], removed["removed"]) == (3, True)
    assert await shop.call("remove_goods_rule", admin, rule_id=rule["rule_id"]) == removed
    assert (await check(shop, "EG", **drone))["verdict"] == "allowed"
    shown = await shop.call("get_goods_rule", rule_id=rule["rule_id"])
    assert (shown["current"], shown["history"]) == (removed, [removed, changed, rule])
    again = await shop.call("change_goods_rule", admin, rule_id=rule["rule_id"], **RULE)
    assert (again["version"], again["removed"]) == (4, False)
    assert (await check(shop, "EG", **drone))["verdict"] == "prohibited"
    await shop.call("remove_goods_rule", admin, rule_id=rule["rule_id"])


async def test_rules_are_listed_by_country_page_by_page(shop):
    seen, cursor = [], ""
    while cursor is not None:
        page = await shop.call("list_goods_rules", limit=5, cursor=cursor)
        seen += page["items"]
        cursor = page["next_cursor"]
    assert len(seen) == len({rule["rule_id"] for rule in seen}) >= 17
    assert all(rule["reason"] and rule["source"] for rule in seen)
    singapore = (await shop.call("list_goods_rules", country="SG"))["items"]
    assert {rule["country"] for rule in singapore} == {"SG"}
    with pytest.raises(InvalidInput):
        await shop.call("list_goods_rules", country="XX")


@pytest.mark.parametrize(
    "fields",
    [
        {"country": "XX"},
        {"country": "**"},
        {"category": "", "words": ""},
        {"words": "!!!"},
        {"words": "bell\u0007"},
        {"reason": " "},
        {"source": ""},
        {"kind": "frowned upon"},
        {"words": "x" * 501},
    ],
    ids=str,
)
async def test_a_bad_rule_is_refused(shop, admin, fields):
    rules = await shop.pool.fetchval("SELECT count(*) FROM goods_rules")
    with pytest.raises(InvalidInput):
        await shop.call("add_goods_rule", admin, **{**RULE, **fields})
    assert await shop.pool.fetchval("SELECT count(*) FROM goods_rules") == rules


async def test_only_administrators_set_rules(shop, admin, seller):
    known = (await shop.call("list_goods_rules", limit=1))["items"][0]["rule_id"]
    calls = [
        ("add_goods_rule", RULE),
        ("change_goods_rule", {**RULE, "rule_id": known}),
        ("remove_goods_rule", {"rule_id": known}),
    ]
    for verb, fields in calls:
        with pytest.raises(NotAllowed):
            await shop.call(verb, seller, **fields)
        with pytest.raises(Unauthenticated):
            await shop.call(verb, ANONYMOUS, **fields)
    for verb, fields in calls[1:]:
        with pytest.raises(GoodsRuleNotFound):
            await shop.call(verb, admin, **{**fields, "rule_id": str(new_id())})
    with pytest.raises(GoodsRuleNotFound):
        await shop.call("get_goods_rule", rule_id=str(new_id()))
