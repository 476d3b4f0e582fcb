"""Search: words in many scripts, spelling, filters, distance, order, pages, facets."""

# ruff: noqa: RUF001 - texts of many scripts are the point

import base64
import json
import math
import random
from collections import Counter

import pytest

from protocols.errors import InvalidInput
from protocols.listings.refusals import CategoryNotFound
from storage.listings import search_postgres
from storage.listings.search_postgres import BAND_STARTS

EARTH_RADIUS_M = 6_371_008.771415
"""The mean radius of WGS 84, (2a + b) / 3."""


def haversine_m(a: dict, b: dict) -> float:
    lat1, lon1, lat2, lon2 = (math.radians(v) for v in (a["lat"], a["lon"], b["lat"], b["lon"]))
    h = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, h)))


def titles(page: dict) -> list[str]:
    return [item["title"] for item in page["items"]]


class TestWords:
    async def test_words_of_title_and_description_are_found_by_their_stems(self, empty_shop, seller):
        await empty_shop.create(seller, title="Two vintage bicycles", description="")
        await empty_shop.create(seller, title="Red lamp", description="shines on vintage things")
        assert titles(await empty_shop.search(q="bicycle")) == ["Two vintage bicycles"]
        assert titles(await empty_shop.search(q="vintage")) == ["Two vintage bicycles", "Red lamp"]
        assert titles(await empty_shop.search(q="vintage lamps")) == ["Red lamp"]
        assert titles(await empty_shop.search(q='"vintage things"')) == ["Red lamp"]
        assert titles(await empty_shop.search(q="vintage -lamp")) == ["Two vintage bicycles"]
        assert set(titles(await empty_shop.search(q="lamp or bicycle"))) == {
            "Two vintage bicycles",
            "Red lamp",
        }

    async def test_a_title_match_ranks_above_a_description_match(self, empty_shop, seller):
        await empty_shop.create(seller, title="Walnut guitar", description="sounds warm")
        await empty_shop.create(seller, title="Stand", description="holds a guitar of any size, or a ukulele")
        assert titles(await empty_shop.search(q="guitar")) == ["Walnut guitar", "Stand"]

    @pytest.mark.parametrize(
        ("title", "query"),
        [
            ("红色自行车 出售", "自行车"),
            ("红色自行车 出售", "自行"),
            ("日本のカメラ", "カメラ"),
            ("دراجة هوائية للبيع", "دراجة"),
            ("دَرَّاجَة أنيقة", "دراجه انيقة"),
            ("كتـــاب إسلامي", "كتاب اسلامي"),
            ("Vélo à vendre", "velo"),
            ("Velo zu verkaufen", "vélo"),
            ("Küchengerät aus Köln", "kuchengerat"),
            ("Κιθάρα ακουστική", "κιθαρα"),
            ("Гитара акустическая", "гитара"),
            ("ＦＵＬＬ ｗｉｄｔｈ", "full width"),
            ("Prise 🇫🇷 adaptateur 🔌", "adaptateur"),
            ("한국어 책상", "책상"),
        ],
    )
    async def test_words_are_found_in_every_script(self, empty_shop, seller, title, query):
        await empty_shop.create(seller, title="Something else", description="entirely")
        await empty_shop.create(seller, title=title, description="")
        found = await empty_shop.search(q=query)
        assert (titles(found), found["similar"]) == ([title], False)

    async def test_ideographs_must_stand_together(self, empty_shop, seller):
        await empty_shop.create(seller, title="车行自")
        assert titles(await empty_shop.search(q="自行车", category="bags", condition="new")) == []
        found = await empty_shop.search(q="自行车")
        assert found["items"] == [] or found["similar"]

    @pytest.mark.parametrize(
        ("query", "title"),
        [
            ("bicylce", "Blue bicycle"),
            ("gutar", "Classical guitar"),
            ("hedphones", "Wireless headphones"),
            ("vintge lether jacket", "Vintage leather jacket"),
        ],
    )
    async def test_misspelt_words_find_titles_spelt_alike(self, empty_shop, seller, query, title):
        for known in ("Blue bicycle", "Classical guitar", "Wireless headphones", "Vintage leather jacket"):
            await empty_shop.create(seller, title=known)
        found = await empty_shop.search(q=query)
        assert (titles(found)[0], found["similar"]) == (title, True)

    async def test_spelling_is_not_guessed_when_the_words_exist(self, empty_shop, seller):
        await empty_shop.create(seller, title="Guitar", condition="new")
        await empty_shop.create(seller, title="Lute", condition="used", description="gutar")
        found = await empty_shop.search(q="gutar", condition="new")
        assert (found["items"], found["similar"]) == ([], False)

    @pytest.mark.parametrize("sort", ["relevance", "newest", "price_asc"])
    async def test_titles_spelt_alike_are_the_same_however_they_are_looked_for(
        self, empty_shop, seller, sort, monkeypatch
    ):
        for number, title in enumerate(
            ("Blue bicycle", "Lamp", "Bicycle bell", "Book", "Bicycles for two") * 3
        ):
            await empty_shop.create(seller, title=title, price={"amount": 1 + number % 4, "currency": "EUR"})
        found = []
        for often_from in (0.0, 2.0):
            monkeypatch.setattr(search_postgres, "OFTEN_FROM", often_from)
            found.append(await empty_shop.walk(q="bicylce", sort=sort, currency="EUR", limit=2))
        assert len(found[0]) == 9
        assert found[0] == found[1]

    @pytest.mark.parametrize(
        "query",
        [
            "bikes",
            "a bike",
            "the bikes of towns",
            '"bikes of towns"',
            '"towns bikes" running',
            "bikes -towns",
            "the or towns",
            "running or bikes",
            "-running towns",
            "well-known bikes",
            "of",
        ],
    )
    async def test_stems_find_what_stems_and_words_together_find(self, empty_shop, seller, query):
        vocabulary = (
            "bike",
            "Bikes",
            "town",
            "towns",
            "the",
            "of",
            "a",
            "running",
            "ran",
            "run",
            "well-known",
            "know",
        )
        dice = random.Random(3)
        for _ in range(60):
            title, description = (" ".join(dice.choices(vocabulary, k=dice.randint(1, 6))) for _ in range(2))
            await empty_shop.create(seller, title=title, description=description)
        words = await search_postgres.read_words(empty_shop.pool, query)
        found = await empty_shop.pool.fetch(
            "SELECT words @@ $1::text::tsquery AS by_stems, words @@ $2::text::tsquery AS by_both FROM listings",
            words.words,
            words.ranked,
        )
        assert all(row["by_stems"] == row["by_both"] for row in found)
        assert any(row["by_both"] for row in found)

    @pytest.mark.parametrize("query", ["🧳", "!!!", "''", '"', "-", "%", "🇫🇷🔌", ":*", "()"])
    async def test_a_text_without_words_finds_nothing(self, empty_shop, seller, query):
        await empty_shop.create(seller, title="Case 🧳 100% '' ()")
        found = await empty_shop.search(q=query)
        assert (found["items"], found["facets"]["matches"], found["next_cursor"]) == ([], 0, None)

    @pytest.mark.parametrize(
        "query",
        [
            "'; DROP TABLE listings; --",
            "' OR '1'='1",
            "a' | 'b",
            "$1 {words} {0} %s %(x)s",
            "bag'::tsquery) OR true --",
            "\\'; SELECT pg_sleep(10); --",
            "a & | ! ( b",
            '"unclosed quote',
            "or or or - - or",
            "-bag",
            "x" * 200,
            "自" * 200,
            "a " * 100,
            "-a " * 66,
            "\ufdfa" * 200,
        ],
    )
    async def test_hostile_texts_are_only_text(self, empty_shop, seller, query):
        listing = await empty_shop.create(seller)
        before = await empty_shop.snapshot()
        found = await empty_shop.search(q=query)
        assert {item["id"] for item in found["items"]} <= {listing["id"]}
        assert await empty_shop.snapshot() == before

    async def test_no_filter_is_a_way_around_words(self, empty_shop, seller):
        await empty_shop.create(seller, category="bags")
        assert titles(await empty_shop.search(q="' OR true --", category="bags")) == []


class TestBadInput:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("q", "x" * 201),
            ("q", "bell\u0007"),
            ("q", 5),
            ("condition", "broken"),
            ("min_price", -1),
            ("max_price", 2**53),
            ("currency", "eur"),
            ("currency", "EUR\n"),
            ("seller_id", "me"),
            ("near", "52.5"),
            ("near", "52.5;13.4"),
            ("near", "91,0"),
            ("near", "0,180.5"),
            ("near", "nan,nan"),
            ("near", "1e1,2"),
            ("near", "١,٢"),
            ("near", "52.5,13.4,7"),
            ("near", "1" * 65),
            ("radius_m", 0),
            ("radius_m", 20_000_001),
            ("radius_m", 1.5),
            ("sort", "cheapest"),
            ("sort", "distance"),
            ("limit", 0),
            ("limit", 101),
            ("cursor", "x" * 513),
            ("cursor", "not a cursor"),
            ("cursor", "AAAA"),
            ("cursor", "bnVsbA"),
            ("category", "x" * 41),
        ],
    )
    async def test_bad_values_are_refused_by_name(self, shop, field, value):
        with pytest.raises(InvalidInput) as refused:
            await shop.search(**{field: value})
        assert refused.value.facts["errors"][0]["pointer"] == f"/{field}"

    async def test_a_price_range_upside_down_is_refused(self, shop):
        with pytest.raises(InvalidInput):
            await shop.search(min_price=2, max_price=1, currency="EUR")

    async def test_an_unknown_category_is_refused(self, shop):
        with pytest.raises(CategoryNotFound):
            await shop.search(category="no-such")

    async def test_a_cursor_belongs_to_its_search(self, empty_shop, seller):
        for n in range(3):
            await empty_shop.create(seller, title=f"Bag {n}")
        cursor = (await empty_shop.search(q="bag", limit=1))["next_cursor"]
        assert len((await empty_shop.search(q="bag", limit=2, cursor=cursor))["items"]) == 2
        for other in ({"q": "lamp"}, {"q": "bag", "sort": "newest"}, {"q": "bag", "condition": "new"}, {}):
            with pytest.raises(InvalidInput):
                await empty_shop.search(**other, cursor=cursor)

    @pytest.mark.parametrize("sort", ["relevance", "newest", "price_asc", "distance"])
    async def test_a_forged_cursor_is_refused_or_harmless(self, empty_shop, seller, sort):
        asked = {"q": "bag", "near": "0,0", "sort": sort, "currency": "EUR", "limit": 1}
        for n in range(3):
            price = {"amount": n + 1, "currency": "EUR"}
            await empty_shop.create(
                seller, title=f"Bag {n}", price=price, location={"lat": 0, "lon": n / 100}
            )
        cursor = (await empty_shop.search(**asked))["next_cursor"]
        place = json.loads(base64.urlsafe_b64decode(cursor + "=="))
        for key in ("1; DROP TABLE listings", True, 10**30, [1], {}, "", 1e308):
            forged = (
                base64.urlsafe_b64encode(json.dumps([place[0], key, *place[2:]]).encode())
                .decode()
                .rstrip("=")
            )
            with pytest.raises(InvalidInput):
                await empty_shop.search(**asked, cursor=forged)
        for cut in range(1, len(cursor), 7):
            with pytest.raises(InvalidInput):
                await empty_shop.search(**asked, cursor=cursor[:cut])


class TestFiltersAndOrder:
    async def test_a_category_includes_its_descendants(self, empty_shop, seller):
        for category in ("sports", "cycling", "camping", "books"):
            await empty_shop.create(seller, title=category, category=category)
        assert set(titles(await empty_shop.search(category="sports"))) == {"sports", "cycling", "camping"}
        assert titles(await empty_shop.search(category="cycling")) == ["cycling"]
        assert titles(await empty_shop.search(category="")) == ["books", "camping", "cycling", "sports"]

    async def test_prices_filter_inclusively_and_sort_with_unpriced_last(self, empty_shop, seller):
        for amount in (300, 100, None, 200):
            price = amount and {"amount": amount, "currency": "EUR"}
            await empty_shop.create(seller, title=str(amount), price=price)
        await empty_shop.create(seller, title="USD 150", price={"amount": 150, "currency": "USD"})
        search = empty_shop.search
        assert titles(await search(sort="price_asc", currency="EUR")) == ["100", "200", "300"]
        assert titles(await search(sort="price_desc", currency="EUR")) == ["300", "200", "100"]
        assert titles(await search(sort="price_desc", currency="USD")) == ["USD 150"]
        assert titles(await search(sort="price_asc", min_price=100, max_price=200, currency="EUR")) == [
            "100",
            "200",
        ]
        assert titles(await search(min_price=0, currency="USD")) == ["USD 150"]
        assert titles(await search(max_price=100, currency="EUR")) == ["100"]

    @pytest.mark.parametrize(
        "asked",
        [
            {"min_price": 0},
            {"max_price": 9},
            {"sort": "price_asc"},
            {"sort": "price_desc", "q": "bag"},
            {"currency": "XYZ"},
            {"currency": "HRK"},
            {"currency": "XAU"},
        ],
    )
    async def test_amounts_are_compared_in_one_active_currency(self, shop, asked):
        with pytest.raises(InvalidInput) as refused:
            await shop.search(**asked)
        assert refused.value.facts["errors"][0]["pointer"] == "/currency"

    @pytest.mark.parametrize("currency", ["XYZ", "DEM", "BGN", "XDR"])
    async def test_a_price_is_in_an_active_currency(self, shop, seller, currency):
        with pytest.raises(InvalidInput) as refused:
            await shop.create(seller, price={"amount": 1, "currency": currency})
        assert refused.value.facts["errors"][0]["pointer"] == "/price/currency"

    async def test_condition_and_seller_filter(self, empty_shop, seller, stranger):
        await empty_shop.create(seller, title="a", condition="new")
        await empty_shop.create(stranger, title="b", condition="new")
        await empty_shop.create(stranger, title="c", condition="used")
        assert titles(await empty_shop.search(condition="new")) == ["b", "a"]
        assert titles(await empty_shop.search(seller_id=str(stranger.id))) == ["c", "b"]

    async def test_distances_agree_with_a_haversine_oracle(self, empty_shop, seller):
        rng = random.Random(5)
        spots = [
            (0.0, 179.99),
            (0.0, -179.99),
            (89.9, 10.0),
            (-89.9, 0.0),
            (52.5, 13.4),
            (0.0, 0.0),
            (0.0, -180.0),
        ]
        spots += [(rng.uniform(-90, 90), rng.uniform(-180, 180)) for _ in range(60)]
        spots += [(52.5 + rng.uniform(-2, 2), 13.4 + rng.uniform(-2, 2)) for _ in range(60)]
        for lat, lon in spots:
            await empty_shop.create(seller, location={"lat": lat, "lon": lon})
        await empty_shop.create(seller, title="nowhere")
        everything = await empty_shop.walk(limit=100)
        for near in ("52.5,13.4", "0,180", "90,0", "-12.25,-76.5", "0,-180"):
            center = dict(zip(("lat", "lon"), map(float, near.split(",")), strict=True))
            for radius_m in (1_000, 100_000, 3_000_000, 20_000_000):
                expected = {
                    item["id"]: haversine_m(center, item["location"])
                    for item in everything
                    if item["location"]
                }
                expected = {listing_id: m for listing_id, m in expected.items() if m <= radius_m}
                found = await empty_shop.walk(near=near, radius_m=radius_m, sort="distance", limit=50)
                assert {item["id"] for item in found} == set(expected)
                for item in found:
                    assert item["distance_m"] == pytest.approx(expected[item["id"]], abs=0.11, rel=1e-7)
                shown = [item["distance_m"] for item in found]
                assert shown == sorted(shown)
                newest = await empty_shop.walk(near=near, radius_m=radius_m, sort="newest", limit=100)
                assert {item["id"] for item in newest} == set(expected)

    async def test_distance_is_null_without_near(self, empty_shop, seller):
        await empty_shop.create(seller, location={"lat": 1, "lon": 1})
        assert (await empty_shop.search())["items"][0]["distance_m"] is None


async def stock(shop, seller, count: int, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(count):
        await shop.create(
            seller,
            title=" ".join(rng.choices(["bag", "lamp", "red", "blue", "old"], k=rng.randint(1, 4))),
            description=" ".join(rng.choices(["bag", "lamp", "red", "blue", "old"], k=rng.randint(0, 3))),
            category=rng.choice(["bags", "lighting", "books", "other"]),
            condition=rng.choice(["new", "like_new", "used", "for_parts"]),
            price=rng.choice(
                [None, {"amount": rng.choice([100, 999, 1000, 5000, 99_999_999]), "currency": "EUR"}]
            ),
            location=rng.choice([None, {"lat": rng.choice([0, 0.1, rng.uniform(-1, 1)]), "lon": 0}]),
        )


SEARCHES = [
    {"sort": "newest"},
    {"sort": "price_asc", "currency": "EUR"},
    {"sort": "price_desc", "currency": "EUR"},
    {"sort": "distance", "near": "0,0", "radius_m": 1_000_000},
    {"q": "bag"},
    {"q": "bag", "near": "0,0", "radius_m": 60_000},
    {"q": "lamq"},
    {"q": "red", "sort": "price_asc", "min_price": 100, "currency": "EUR"},
    {"q": "bag or lamp", "sort": "distance", "near": "0,0", "radius_m": 20_000_000},
]


@pytest.mark.parametrize("asked", SEARCHES, ids=lambda asked: " ".join(f"{k}={v}" for k, v in asked.items()))
class TestPages:
    async def test_pages_join_to_the_whole_list(self, empty_shop, seller, asked):
        await stock(empty_shop, seller, 60, 1)
        whole = (await empty_shop.search(**asked, limit=100))["items"]
        assert len(whole) > 5
        for limit in (1, 7, len(whole)):
            assert await empty_shop.walk(**asked, limit=limit) == whole

    async def test_pages_neither_repeat_nor_miss_while_listings_are_added(self, empty_shop, seller, asked):
        await stock(empty_shop, seller, 40, 2)
        before = [item["id"] for item in (await empty_shop.search(**asked, limit=100))["items"]]
        seen: list[str] = []
        cursor, turn = "", 0
        while cursor is not None:
            page = await empty_shop.search(**asked, limit=3, cursor=cursor)
            assert (page["facets"] is None) == bool(cursor)
            seen += [item["id"] for item in page["items"]]
            cursor, turn = page["next_cursor"], turn + 1
            await stock(empty_shop, seller, 2, 100 + turn)
            assert turn < 200
        assert len(seen) == len(set(seen))
        assert [listing_id for listing_id in seen if listing_id in set(before)] == before


class TestFacets:
    @pytest.mark.parametrize(
        "asked",
        [
            {},
            {"q": "bag"},
            {"category": "bags"},
            {"q": "red", "condition": "new"},
            {"near": "0,0"},
            {"q": "lamq"},
        ],
        ids=str,
    )
    async def test_facets_equal_a_naive_count(self, empty_shop, seller, asked):
        await stock(empty_shop, seller, 80, 3)
        for _ in range(4):
            await empty_shop.create(seller, title="bag", price={"amount": 7, "currency": "USD"})
        found = await empty_shop.search(**asked, limit=2)
        facets = found["facets"]
        every = await empty_shop.walk(**asked, limit=100)
        assert (facets["matches"], facets["capped"]) == (len(every), False)
        for name in ("category", "condition"):
            assert {f["value"]: f["count"] for f in facets[name]} == Counter(item[name] for item in every)
        priced = [item["price"] for item in every if item["price"]]
        currencies = Counter(price["currency"] for price in priced)
        assert {f["value"]: f["count"] for f in facets["currency"]} == currencies
        shown = facets["price"]
        assert currencies[shown["currency"]] == max(currencies.values())
        bands = Counter(
            max(start for start in BAND_STARTS if start <= price["amount"])
            for price in priced
            if price["currency"] == shown["currency"]
        )
        assert {band["from_amount"]: band["count"] for band in shown["bands"]} == bands

    async def test_bands_touch_and_the_last_is_open(self, empty_shop, seller):
        for amount in (999, 1_000, 10_000_000):
            await empty_shop.create(seller, price={"amount": amount, "currency": "EUR"})
        assert (await empty_shop.search())["facets"]["price"]["bands"] == [
            {"from_amount": 0, "to_amount": 1_000, "count": 1},
            {"from_amount": 1_000, "to_amount": 2_500, "count": 1},
            {"from_amount": 10_000_000, "to_amount": None, "count": 1},
        ]

    async def test_an_asked_currency_has_the_bands(self, empty_shop, seller):
        for currency in ("EUR", "EUR", "USD"):
            await empty_shop.create(seller, price={"amount": 5, "currency": currency})
        assert (await empty_shop.search(currency="USD"))["facets"]["price"]["currency"] == "USD"

    async def test_counting_stops_at_ten_thousand(self, empty_shop, seller):
        await empty_shop.create(seller, title="Many bags")
        await empty_shop.pool.execute(
            "INSERT INTO listings (listing_id, seller_id, title, description, category, condition, created_at_ms,"
            " updated_at_ms, words)"
            " SELECT gen_random_uuid(), $1, 'bag', '', 'other', 'new', 0, 0, listing_words('bag', '')"
            " FROM generate_series(1, 10100)",
            seller.id,
        )
        for asked in ({}, {"q": "bag"}):
            facets = (await empty_shop.search(**asked))["facets"]
            assert (facets["matches"], facets["capped"]) == (10_000, True)
