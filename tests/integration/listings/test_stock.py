"""Stock: reservations that end by themselves, frozen prices, no piece held twice, whatever the crowd."""

import asyncio
from collections import Counter
from datetime import datetime
from uuid import UUID

import msgspec
import pytest

from handlers.contract import Caller
from handlers.listings import DOMAIN, ROUTES
from handlers.listings.stock.expire_reservations import expire_reservations
from handlers.listings.stock.rules import HELD_MAX, RESERVED_FOR_MS
from protocols.errors import KeyRequired, NotAllowed, Stale
from protocols.listings.commands import ListingNotActive
from protocols.listings.refusals import ListingNotFound, OwnListing
from protocols.listings.stock import (
    InsufficientStock,
    ListingHasNoPrice,
    ReservationNotFound,
    ReservationSold,
    StockHeld,
    TooManyReservations,
)
from protocols.values import new_id
from server.commands.pipeline import Pipeline
from storage.engines.postgres import open_database
from storage.listings.lookups import read_stock
from storage.listings.stock_postgres import end_reservations
from tests.support.domains import timer_handlers

TIMERS = timer_handlers(DOMAIN)

EURO = {"amount": 2_500, "currency": "EUR"}


def somebody() -> Caller:
    return Caller(user_id=new_id(), session_id=new_id(), roles=frozenset({"user"}))


@pytest.fixture
def buyer() -> Caller:
    return somebody()


async def reserve(shop, buyer, listing_id, **fields):
    fields = {"key": str(new_id()), **fields}
    return await shop.call("reserve_stock", buyer, listing_id=listing_id, **fields)


async def stock_of(shop, listing_id):
    listing = await shop.call("get_listing", listing_id=listing_id)
    return listing["quantity"], listing["reserved"], listing["saleable"]


async def expire(shop, reservation):
    """Let the clock pass the end of a reservation."""
    due = "UPDATE timers SET due_at_ms = 0 WHERE ref = $1 AND kind = 'expire_reservations'"
    assert await shop.pool.execute(due, UUID(reservation["reservation_id"])) == "UPDATE 1"
    return await shop.pipeline.run_timers("expire_reservations", TIMERS["expire_reservations"], 500)


async def test_a_reservation_holds_pieces_at_the_price_of_the_instant(shop, seller, buyer):
    listing = await shop.create(seller, price=EURO, quantity=5)
    held = await reserve(shop, buyer, listing["id"], quantity=2, version=1)
    assert (held["quantity"], held["unit_price"], held["status"]) == (2, EURO, "held")
    assert await stock_of(shop, listing["id"]) == (5, 2, 3)
    await shop.call(
        "update_listing", seller, listing_id=listing["id"], price={"amount": 9_000, "currency": "EUR"}
    )
    again = await shop.call("get_reservation", buyer, reservation_id=held["reservation_id"])
    assert again == held
    ends, began = (datetime.fromisoformat(held[name]) for name in ("expires_at", "created_at"))
    assert (ends - began).total_seconds() * 1000 == RESERVED_FOR_MS


async def test_a_stale_version_is_refused_with_what_is_true_now(shop, seller, buyer):
    listing = await shop.create(seller, price=EURO, quantity=5)
    dearer = {"amount": 3_000, "currency": "EUR"}
    await shop.call("update_listing", seller, listing_id=listing["id"], price=dearer)
    before = await shop.snapshot()
    for version in (1, 99):
        with pytest.raises(Stale) as refused:
            await reserve(shop, buyer, listing["id"], version=version)
        facts = msgspec.to_builtins(refused.value.facts)
        assert facts == {"version": 2, "price": dearer, "saleable": 5}
    assert await shop.snapshot() == before
    assert (await reserve(shop, buyer, listing["id"], version=2))["unit_price"] == dearer


async def test_other_buyers_do_not_make_a_version_stale(shop, seller, buyer):
    listing = await shop.create(seller, price=EURO, quantity=5)
    for _ in range(3):
        await reserve(shop, somebody(), listing["id"], version=1)
    await shop.call("update_listing", seller, listing_id=listing["id"], quantity=6)
    assert (await reserve(shop, buyer, listing["id"], version=1))["listing_version"] == 6
    await shop.call("update_listing", seller, listing_id=listing["id"], condition="for_parts")
    with pytest.raises(Stale):
        await reserve(shop, buyer, listing["id"], version=6)


async def test_what_cannot_be_had_is_refused_and_changes_nothing(shop, seller, buyer):
    priced = (await shop.create(seller, price=EURO, quantity=3))["id"]
    await reserve(shop, somebody(), priced, quantity=2)
    unpriced = (await shop.create(seller))["id"]
    gone = (await shop.create(seller, price=EURO))["id"]
    await shop.call("withdraw_listing", seller, listing_id=gone)
    before = await shop.snapshot()
    with pytest.raises(InsufficientStock) as refused:
        await reserve(shop, buyer, priced, quantity=2)
    assert refused.value.facts == {"saleable": 1, "version": 2}
    for listing_id, why in (
        (unpriced, ListingHasNoPrice),
        (gone, ListingNotActive),
        (str(new_id()), ListingNotFound),
    ):
        with pytest.raises(why):
            await reserve(shop, buyer, listing_id)
    with pytest.raises(OwnListing):
        await reserve(shop, seller, priced)
    with pytest.raises(KeyRequired):
        await shop.call("reserve_stock", buyer, listing_id=priced)
    assert await shop.snapshot() == before


async def test_one_key_is_one_reservation(shop, seller, buyer):
    listing = await shop.create(seller, price=EURO, quantity=5)
    answers = await asyncio.gather(*(reserve(shop, buyer, listing["id"], key="once") for _ in range(4)))
    assert len({answer["reservation_id"] for answer in answers}) == 1
    assert await stock_of(shop, listing["id"]) == (5, 1, 4)


async def test_a_user_holds_at_most_so_many(shop, seller, buyer):
    listings = [await shop.create(seller, price=EURO, quantity=50) for _ in range(4)]
    wishes = [reserve(shop, buyer, listings[n % 4]["id"]) for n in range(HELD_MAX + 10)]
    results = await asyncio.gather(*wishes, return_exceptions=True)
    assert Counter(type(result) for result in results) == {dict: HELD_MAX, TooManyReservations: 10}
    first = next(result for result in results if isinstance(result, dict))
    await shop.call("release_reservation", buyer, reservation_id=first["reservation_id"])
    await reserve(shop, buyer, listings[0]["id"])


async def test_released_pieces_can_be_had_again(shop, seller, buyer):
    listing = await shop.create(seller, price=EURO, quantity=1)
    held = await reserve(shop, buyer, listing["id"])
    for caller in (seller, somebody()):
        for verb in ("release_reservation", "get_reservation"):
            with pytest.raises(ReservationNotFound):
                await shop.call(verb, caller, reservation_id=held["reservation_id"])
    released = await shop.call("release_reservation", buyer, reservation_id=held["reservation_id"])
    assert released == {**held, "status": "released"}
    assert await shop.call("release_reservation", buyer, reservation_id=held["reservation_id"]) == released
    assert await stock_of(shop, listing["id"]) == (1, 0, 1)
    await reserve(shop, somebody(), listing["id"])


async def test_a_reservation_expires_by_itself_once(shop, seller, buyer):
    listing = await shop.create(seller, price=EURO, quantity=2)
    held = await reserve(shop, buyer, listing["id"], quantity=2)
    assert await shop.pipeline.run_timers("expire_reservations", TIMERS["expire_reservations"], 500) == []
    assert len(await expire(shop, held)) == 1
    assert (await shop.call("get_reservation", buyer, reservation_id=held["reservation_id"]))[
        "status"
    ] == "expired"
    assert await stock_of(shop, listing["id"]) == (2, 0, 2)
    ended = await shop.call("release_reservation", buyer, reservation_id=held["reservation_id"])
    assert ended["status"] == "expired"
    async with shop.database.transaction() as db:
        stores = shop.pipeline._stores(db)
        assert await expire_reservations([UUID(held["reservation_id"]), new_id()], stores, 0) == []


async def test_the_seller_cannot_take_away_what_buyers_hold(shop, seller, buyer):
    listing = await shop.create(seller, price=EURO, quantity=5)
    held = await reserve(shop, buyer, listing["id"], quantity=3)
    with pytest.raises(StockHeld) as refused:
        await shop.call("update_listing", seller, listing_id=listing["id"], quantity=2)
    assert refused.value.facts == {"reserved": 3, "auctioned": 0}
    await shop.call("update_listing", seller, listing_id=listing["id"], quantity=3)
    await shop.call("withdraw_listing", seller, listing_id=listing["id"])
    assert (await shop.call("get_reservation", buyer, reservation_id=held["reservation_id"]))[
        "status"
    ] == "held"


async def test_a_sold_reservation_is_not_released(shop, seller, buyer):
    listing = await shop.create(seller, price=EURO, quantity=3)
    reservation = await reserve(shop, buyer, listing["id"])
    async with shop.database.transaction() as db:
        await end_reservations(db, [UUID(reservation["reservation_id"])], "sold")
    with pytest.raises(ReservationSold):
        await shop.call("release_reservation", buyer, reservation_id=reservation["reservation_id"])
    held = await shop.call("get_reservation", buyer, reservation_id=reservation["reservation_id"])
    assert held["status"] == "sold"


async def test_movements_add_up_and_are_the_sellers_to_read(shop, seller, buyer):
    listing = await shop.create(seller, price=EURO, quantity=5)
    held = await reserve(shop, buyer, listing["id"], quantity=2)
    await shop.call("release_reservation", buyer, reservation_id=held["reservation_id"])
    await shop.call("update_listing", seller, listing_id=listing["id"], quantity=9)
    await reserve(shop, buyer, listing["id"], quantity=1)
    with pytest.raises(NotAllowed):
        await shop.call("list_movements", buyer, listing_id=listing["id"])
    first = await shop.call("list_movements", seller, listing_id=listing["id"], limit=3)
    rest = await shop.call(
        "list_movements", seller, listing_id=listing["id"], limit=3, cursor=first["next_cursor"]
    )
    moved = [
        (m["version"], m["kind"], m["quantity"], m["on_hand"], m["reserved"])
        for m in (*first["items"], *rest["items"])
    ]
    assert moved == [
        (5, "reserve", 1, 9, 1),
        (4, "adjust", 4, 9, 0),
        (3, "release", 2, 5, 0),
        (2, "reserve", 2, 5, 2),
    ]
    assert rest["next_cursor"] is None
    kinds = [(number, kind) for number, kind, _ in await shop.events(listing["id"])]
    assert kinds[1:] == [(2, "stock_moved"), (3, "stock_moved"), (4, "listing_updated"), (5, "stock_moved")]


async def test_own_reservations_are_listed_by_status(shop, seller, buyer):
    listing = await shop.create(seller, price=EURO, quantity=5)
    made = [await reserve(shop, buyer, listing["id"]) for _ in range(3)]
    await shop.call("release_reservation", buyer, reservation_id=made[1]["reservation_id"])
    page = await shop.call("list_reservations", buyer, limit=2)
    rest = await shop.call("list_reservations", buyer, limit=2, cursor=page["next_cursor"])
    assert [r["reservation_id"] for r in (*page["items"], *rest["items"])] == [
        r["reservation_id"] for r in reversed(made)
    ]
    held = await shop.call("list_reservations", buyer, status="held")
    assert [r["reservation_id"] for r in held["items"]] == [made[n]["reservation_id"] for n in (2, 0)]
    assert (await shop.call("list_reservations", somebody()))["items"] == []


async def test_watchers_see_every_version_that_changes_price_stock_or_status(shop, seller, buyer):
    listing = await shop.create(seller, price=EURO, quantity=3)
    shop.published.clear()
    held = await reserve(shop, buyer, listing["id"], quantity=2)
    await shop.call(
        "update_listing", seller, listing_id=listing["id"], price={"amount": 1, "currency": "EUR"}
    )
    await shop.call("release_reservation", buyer, reservation_id=held["reservation_id"])
    await shop.call("withdraw_listing", seller, listing_id=listing["id"])
    channel = f"stock:{listing['id']}"
    seen = [
        (entry.number, msgspec.json.decode(entry.data))
        for name, entries in shop.published
        for entry in entries
        if name == channel
    ]
    shown = [(n, v["version"], v["price"]["amount"], v["saleable"], v["status"]) for n, v in seen]
    assert shown == [
        (2, 2, 2_500, 1, "active"),
        (3, 3, 1, 1, "active"),
        (4, 4, 1, 3, "active"),
        (5, 5, 1, 3, "withdrawn"),
    ]
    async with shop.database.connection() as db:
        number, value = await read_stock(db, UUID(listing["id"]))
    assert (number, msgspec.to_builtins(value)) == seen[-1]


async def test_a_thousand_buyers_of_ten_pieces_get_ten_at_no_stale_price(shop, seller, database, redis):
    listing = await shop.create(seller, price=EURO, quantity=10)
    other_database = await open_database(database)
    other = Pipeline(other_database, redis, "epoch", lambda _: None, ROUTES)
    other.start()
    pipelines = (shop.pipeline, other)

    async def buy(place: int) -> object:
        command = shop.command("reserve_stock", listing_id=listing["id"], version=1, key=f"buyer-{place}")
        answer = await pipelines[place % 2].run(shop.routes["reserve_stock"], command, somebody())
        return msgspec.json.decode(answer.body)

    async def raise_the_price() -> None:
        await asyncio.sleep(0.004)
        dearer = {"amount": 9_900, "currency": "EUR"}
        await shop.call("update_listing", seller, listing_id=listing["id"], price=dearer)

    results, _ = await asyncio.gather(
        asyncio.gather(*(buy(place) for place in range(1_000)), return_exceptions=True), raise_the_price()
    )
    await other.close()
    await other_database.close()
    made = [result for result in results if isinstance(result, dict)]
    refused = Counter(type(result) for result in results if not isinstance(result, dict))
    assert set(refused) <= {InsufficientStock, Stale}
    assert len(made) + sum(refused.values()) == 1_000
    assert {reservation["unit_price"]["amount"] for reservation in made} <= {2_500}
    if InsufficientStock in refused:
        assert len(made) == 10
    assert await stock_of(shop, listing["id"]) == (10, len(made), 10 - len(made))


async def test_a_thousand_buyers_through_two_pipelines_get_exactly_ten(shop, seller, database, redis):
    listing = await shop.create(seller, price=EURO, quantity=10)
    other_database = await open_database(database)
    other = Pipeline(other_database, redis, "epoch", lambda _: None, ROUTES)
    other.start()
    pipelines = (shop.pipeline, other)

    async def buy(place: int) -> object:
        command = shop.command("reserve_stock", listing_id=listing["id"], version=1, key=f"crowd-{place}")
        return await pipelines[place % 2].run(shop.routes["reserve_stock"], command, somebody())

    results = await asyncio.gather(*(buy(place) for place in range(1_000)), return_exceptions=True)
    await other.close()
    await other_database.close()
    assert Counter(type(r).__name__ for r in results) == {"Answer": 10, "InsufficientStock": 990}
    assert {r.facts["saleable"] for r in results if isinstance(r, InsufficientStock)} == {0}
    assert await stock_of(shop, listing["id"]) == (10, 10, 0)
    assert (
        await shop.pool.fetchval(
            "SELECT sum(quantity) FROM stock_reservations WHERE listing_id = $1", UUID(listing["id"])
        )
        == 10
    )
    numbers = [number for number, _, _ in await shop.events(listing["id"])]
    assert numbers == list(range(1, 12))
