"""Listings on a running system: what watchers see of price and stock, whom a publication tells, photos anywhere."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.support.pictures import telling_jpeg
from tests.support.players import Player, Socket, sign_up

BAG = {
    "title": "Wombat leather bag",
    "description": "",
    "category": "bags",
    "condition": "used",
    "quantity": 5,
}
EURO = {"amount": 2_500, "currency": "EUR"}


@pytest.fixture
def url(shared_system) -> str:
    return shared_system.websocket_url


async def create(seller: Player, **fields: object) -> dict:
    answer = await seller.post("/v1/listings", {**BAG, "price": EURO, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def until(condition, timeout_s: float) -> float:
    """Wait until it holds; return how long that took."""
    started = time.perf_counter()
    while not condition():
        assert time.perf_counter() - started < timeout_s
        await asyncio.sleep(0.005)
    return time.perf_counter() - started


async def test_watchers_see_price_and_stock_within_half_a_second(shared_http, url):
    seller, buyer = await sign_up(shared_http, "seller"), await sign_up(shared_http, "buyer")
    listing = await create(seller)
    async with Socket(url) as anyone, Socket(url, buyer.tokens["access_token"]) as hers:
        watcher = await anyone.watch(f"stock:{listing['id']}")
        held = await hers.rpc(
            "listings.reserve_stock", listing_id=listing["id"], quantity=2, version=1, key="r1"
        )
        assert held["unit_price"] == EURO
        await until(lambda: watcher.seen and watcher.seen[-1][1]["saleable"] == 3, 0.5)
        dearer = {"price": {"amount": 3_000, "currency": "EUR"}}
        path = f"/v1/listings/{listing['id']}"
        changed = await shared_http.patch(path, json=dearer, headers=seller.headers)
        assert changed.status_code == 200
        await until(lambda: watcher.seen[-1][1]["price"] == dearer["price"], 0.5)
        stale = await buyer.post(f"{path}/reservations", {"quantity": 1, "version": 1}, key="r2")
        assert (stale.status_code, stale.json()["version"], stale.json()["saleable"]) == (412, 3, 3)
        fresh = await buyer.post(f"{path}/reservations", {"quantity": 1, "version": 3}, key="r3")
        assert (fresh.status_code, fresh.json()["unit_price"]) == (201, dearer["price"])
        await until(
            lambda: watcher.seen[-1][1] == {**dearer, "saleable": 2, "version": 4, "status": "active"}, 0.5
        )


async def test_a_publication_tells_savers_of_searches_within_a_second(shared_http, url):
    seller, saver = await sign_up(shared_http, "seller"), await sign_up(shared_http, "saver")
    wish = {
        "name": "Bags",
        "filters": {"q": "wombat bags", "category": "fashion", "max_price": 3_000, "currency": "EUR"},
    }
    saved = await saver.post("/v1/saved-searches", wish)
    assert saved.status_code == 201, saved.text
    draft = await create(seller, draft=True)
    async with Socket(url, saver.tokens["access_token"]) as socket:
        assert (await saver.get(f"/v1/listings/{draft['id']}")).status_code == 404
        published = await seller.post(f"/v1/listings/{draft['id']}/publish", {})
        assert published.status_code == 200
        await until(lambda: socket.personal, 1)
        ((_, event),) = socket.personal
        assert (event["type"], event["listing_id"]) == ("listing_matched", draft["id"])
        assert event["searches"] == [{"id": saved.json()["id"], "name": "Bags"}]


async def test_photos_of_one_process_are_served_by_all(shared_http, shared_system):
    seller = await sign_up(shared_http, "seller")
    listing = await create(seller)
    kept = Path(shared_system.home) / "photos"
    before = set(kept.iterdir()) if kept.exists() else set()
    answer = await shared_http.post(
        f"/v1/listings/{listing['id']}/photos",
        content=telling_jpeg(6),
        headers={**seller.headers, "Content-Type": "image/jpeg"},
    )
    assert answer.status_code == 201, answer.text
    (photo,) = answer.json()["photos"]
    assert (photo["width"], photo["height"]) == (32, 64)
    for _ in range(8):
        served = await shared_http.get(photo["small"], headers={"Connection": "close"})
        assert served.status_code == 200
        assert b"SecretCam" not in served.content
    sizes = {path.name.partition("-")[2] for path in set(kept.iterdir()) - before}
    assert sizes == {"full.jpg", "medium.jpg", "small.jpg"}, "in one folder, which both processes serve from"
