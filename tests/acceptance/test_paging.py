"""Lists page by page: cursors that were tampered with, and rows that come and go between two pages."""

import asyncio
import base64
import itertools
import json
from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from protocols.values import new_id, now_instant, to_timestamp
from server.domains import ROUTES
from tests.support.money import give_money
from tests.support.oidc_server import oidc_environment
from tests.support.system import System, running_system, scratch_home
from tests.support.test_data import TestData
from tests.support.users import TestUsers, open_auction, register_users

LISTS = {route.name: route for route in ROUTES if "cursor" in route.command.__struct_fields__}
ASKED = {
    "payments.get_statement": {
        "from": to_timestamp(now_instant() - 86_400_000),
        "to": to_timestamp(now_instant() + 86_400_000),
    }
}
"""What a list needs to be told."""
SAMPLE = "listings.search_listings"
ROWS = 7
_titles = itertools.count()


@pytest.fixture(scope="module")
def system(engines, database, redis_url) -> Iterator[System]:
    environment = {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
        "MNBARA_RATE_LIMITS": "off",
        "MNBARA_DRAIN_S": "1",
    }
    with scratch_home() as home:
        environment |= oidc_environment(home)
        with running_system(home, environment=environment) as running:
            yield running


@pytest.fixture(scope="module")
def shop(system, database, redis_url) -> Iterator["Shop"]:
    with httpx.Client(base_url=system.base_url, timeout=20, trust_env=False) as http:
        yield Shop(http, register_users(http, database, redis_url))


@pytest.fixture(scope="module")
def full_shop(shop, database) -> "Shop":
    """The shop with things in every list."""
    TestData(shop.http, shop.users).make_all()
    asyncio.run(give_money(database, UUID(shop.users.people["owner"].user_id)))
    return shop


class Shop:
    """Somebody who lists, auctions, bids and takes back."""

    def __init__(self, http: httpx.Client, users: TestUsers) -> None:
        self.http, self.users = http, users
        self.auction_id = open_auction(http, users)["id"]
        self._amounts = itertools.count(1_000_000, 1_000_000)

    def post(self, path, body, who="owner"):
        headers = self.users.headers(who) | {"Idempotency-Key": str(new_id())}
        answer = self.http.post(path, json=body, headers=headers)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()

    def add_listing(self) -> str:
        title = f"Lamp {next(_titles)}"
        body = {"title": title, "description": "", "category": "other", "condition": "used"}
        return self.post("/v1/listings", body)["id"]

    def drop_listing(self, listing_id: str) -> None:
        self.post(f"/v1/listings/{listing_id}/withdraw", {})

    def add_auction(self) -> str:
        return open_auction(self.http, self.users)["id"]

    def add_bid(self) -> str:
        """Bids of two people in turn, each above the last."""
        amount = next(self._amounts)
        who = "user" if amount % 2_000_000 else "support"
        return self.post(f"/v1/auctions/{self.auction_id}/bids", {"amount": amount}, who)["bid_id"]

    def page(self, path, **asked) -> dict:
        answer = self.http.get(path, params=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()


def keep(_row: str) -> None:
    """Rows of this list stay."""


PAGED = {
    "listings": ("/v1/listings", "id", "add_listing", "drop_listing"),
    "auctions": ("/v1/auctions", "id", "add_auction", None),
    "bids": ("/v1/auctions/{auction_id}/bids", "bid_id", "add_bid", None),
}


@pytest.mark.parametrize("name", PAGED)
@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
@given(data=st.data())
def test_what_was_there_comes_exactly_once_whatever_comes_and_goes(shop, name, data):
    path, field, add, drop = PAGED[name]
    path = path.format(auction_id=shop.auction_id)
    remove = getattr(shop, drop) if drop else keep
    there = {getattr(shop, add)() for _ in range(ROWS)}
    seen, gone, cursor, added = [], set(), "", 0
    while cursor is not None:
        page = shop.page(path, limit=data.draw(st.integers(2, 9)), **({"cursor": cursor} if cursor else {}))
        seen += [item[field] for item in page["items"]]
        cursor = page["next_cursor"]
        if added < ROWS and data.draw(st.booleans()):
            getattr(shop, add)()
            added += 1
        left = sorted(there - gone)
        if drop and left and data.draw(st.booleans()):
            lost = data.draw(st.sampled_from(left))
            remove(lost)
            gone.add(lost)
        assert len(seen) < 2000, "the list never ends"
    assert len(seen) == len(set(seen)), "a row came twice"
    assert there - gone <= set(seen), "a row that was there all the time was skipped"


def forgeries(cursor: str) -> Iterator[str]:
    """Cursors like this one that the server did not make."""
    yield cursor[:-1]
    yield cursor[1:]
    yield cursor + "A"
    yield cursor[::-1]
    yield cursor.swapcase()
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        return  # more than text in disguise: nothing to forge
    wrong = [None, "", "x", True, 0, -1, 1.5, 2**63, -(2**63) - 1, 10**40, [], {}, "\x00", "0" * 300]
    if isinstance(place, list):
        parts = itertools.product(range(len(place)), wrong)
        wrong = [[*place[:at], value, *place[at + 1 :]] for at, value in parts]
        wrong += [[], [*place, *place], place[:-1], {"0": place}, place[0]]
    for forged in wrong:
        yield base64.urlsafe_b64encode(json.dumps(forged).encode()).decode().rstrip("=")


def first_page(shop, name) -> tuple[str, dict[str, str], str]:
    """Return the path of a list, the headers of somebody for whom it has two pages, and the second's cursor."""
    path = LISTS[name].path.format(**next(iter(shop.users.fitting.get(name, ())), {}))
    told = {}
    for who in ("owner", "user", "support", "finance", "admin"):
        headers = shop.users.headers(who)
        told[who] = shop.http.get(path, params={"limit": 1, **ASKED.get(name, {})}, headers=headers)
        if told[who].status_code == 200 and told[who].json()["next_cursor"]:
            return path, headers, told[who].json()["next_cursor"]
    raise AssertionError(
        f"nobody has two of these, tests/support/test_data.py makes them: {[a.text for a in told.values()]}"
    )


at_every_list = pytest.mark.parametrize(
    "name", [SAMPLE, *(pytest.param(name, marks=pytest.mark.slow) for name in LISTS if name != SAMPLE)]
)


@pytest.fixture
def listed(request, shop, name) -> "Shop":
    """The shop with two pages in the list of that name."""
    return shop if name == SAMPLE else request.getfixturevalue("full_shop")


@at_every_list
def test_an_empty_cursor_is_the_first_page(listed, name):
    path, headers, cursor = first_page(listed, name)
    asked = {"limit": 1, "cursor": "", **ASKED.get(name, {})}
    empty = listed.http.get(path, params=asked, headers=headers)
    assert (empty.status_code, empty.json().get("next_cursor")) == (200, cursor)


@at_every_list
def test_a_forged_cursor_is_refused_or_harmless(listed, name):
    path, headers, cursor = first_page(listed, name)
    for forged in forgeries(cursor):
        asked = {"limit": 1, "cursor": forged, **ASKED.get(name, {})}
        answer = listed.http.get(path, params=asked, headers=headers)
        assert answer.status_code in {200, 400}, (forged, answer.text)
        if answer.status_code == 400:
            assert answer.json()["errors"][0]["pointer"] == "/cursor"
