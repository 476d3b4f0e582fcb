"""A listing follows its auction: fixed while it is live, sold with it; and a seller may end an auction by a sale."""

import asyncio
from contextlib import suppress

import asyncpg
import msgspec
import pytest

from handlers.auctions.rules import CLOSE_GRACE_MS
from handlers.contract import Call
from handlers.listings import ROUTES as LISTING_ROUTES
from protocols.auctions.guards import AuctionNotEndable
from protocols.auctions.refusals import (
    AuctionNotFound,
    AuctionNotLive,
    ListingAlreadyInAuction,
    ListingNotAuctionable,
)
from protocols.auctions.second_chances import SecondChanceUnavailable
from protocols.errors import InvalidInput, NotAllowed
from protocols.listings.commands import EVENTS, ListingInAuction, ListingNotActive
from protocols.listings.stock import InsufficientStock, StockHeld
from protocols.values import new_id, now_instant
from storage.listings.lookups import read_stock
from tests.integration.auctions.conftest import HOUR_MS, moment, new_caller
from tests.integration.auctions.replay import assert_audited, assert_replays
from tests.integration.auctions.test_units import bid as bid_units
from tests.integration.auctions.test_units import new_lot

LISTINGS = {route.verb: route for route in LISTING_ROUTES}


async def on_listing(market, verb, caller, listing_id, **fields):
    command = msgspec.convert({"listing_id": listing_id, **fields}, LISTINGS[verb].command)
    answer = await market.pipeline.run(LISTINGS[verb], command, caller)
    return msgspec.json.decode(answer.body)


async def listing_row(market, listing_id):
    return await market.pool.fetchrow(
        "SELECT status, quantity, version FROM listings WHERE listing_id = $1", listing_id
    )


async def listing_events(market, listing_id):
    rows = await market.pool.fetch(
        "SELECT number, data FROM events WHERE stream = $1 ORDER BY number", f"listings:{listing_id}"
    )
    events = [(row["number"], msgspec.json.decode(row["data"])) for row in rows]
    for _, event in events:
        msgspec.convert(event, EVENTS[event["type"]])
    return events


async def reserve(process, buyer, listing_id):
    """Reserve a piece; return the answer or what it was refused with."""
    route = LISTINGS["reserve_stock"]
    command = msgspec.convert({"listing_id": listing_id, "key": str(new_id())}, route.command)
    (answer,) = await process.pipeline._committer(route)([Call(command, buyer, now_instant())])
    return answer


CHANGES = [
    {"title": "Another"},
    {"description": "Other words"},
    {"category": "bags"},
    {"condition": "new"},
    {"weight_g": 7},
    {"volume_cm3": 7},
    {"quantity": 2},
    {"attributes": {"colour": "red"}},
    {"location": {"lat": 1.0, "lon": 2.0}},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
async def test_what_bidders_rely_on_cannot_change_in_a_live_auction(market, seller, change):
    (listing,) = await market.new_listings(seller, 1)
    auction = (await market.open(seller, listing)).id
    with pytest.raises(ListingInAuction) as refused:
        await on_listing(market, "update_listing", seller, listing, **change)
    assert refused.value.facts == {"auction_id": str(auction)}
    assert [event["kind"] for _, event in await listing_events(market, listing)] == ["auction"]
    await market.call("cancel_auction", seller, auction_id=auction)
    assert (await on_listing(market, "update_listing", seller, listing, **change))["version"] == 4
    assert (await listing_row(market, listing))["status"] == "active"


async def test_photos_cannot_change_in_a_live_auction(market, seller):
    (listing,) = await market.new_listings(seller, 1)
    photo_id = str(new_id())
    photos = msgspec.json.encode([{"photo_id": photo_id, "width": 4, "height": 3, "caption": ""}]).decode()
    await market.pool.execute("UPDATE listings SET photos = $2 WHERE listing_id = $1", listing, photos)
    auction = (await market.open(seller, listing)).id
    changes = [("caption_photo", {"caption": "Front"}), ("delete_photo", {})]
    for verb, fields in changes:
        with pytest.raises(ListingInAuction):
            await on_listing(market, verb, seller, listing, photo_id=photo_id, **fields)
    await market.call("cancel_auction", seller, auction_id=auction)
    for version, (verb, fields) in enumerate(changes, 4):
        changed = await on_listing(market, verb, seller, listing, photo_id=photo_id, **fields)
        assert changed["version"] == version


async def test_the_price_may_change_and_nothing_else_beside_it(market, seller):
    (listing,) = await market.new_listings(seller, 1)
    await market.open(seller, listing)
    price = {"price": {"amount": 5_00, "currency": "EUR"}}
    assert (await on_listing(market, "update_listing", seller, listing, **price))["version"] == 3
    assert (await on_listing(market, "update_listing", seller, listing, title="A thing"))["version"] == 3
    with pytest.raises(ListingInAuction):
        await on_listing(market, "update_listing", seller, listing, price=None, title="Another thing")


async def test_before_its_auction_starts_a_listing_may_change_but_not_go(market, seller):
    (listing,) = await market.new_listings(seller, 1)
    start = now_instant() + HOUR_MS
    auction = (await market.open(seller, listing, starts_at=moment(start))).id
    (several,) = await market.new_listings(seller, 1)
    await market.pool.execute("UPDATE listings SET quantity = 5 WHERE listing_id = $1", several)
    await market.open(seller, several, starts_at=moment(start), quantity=3)
    assert (await on_listing(market, "update_listing", seller, listing, title="Better"))["version"] == 3
    with pytest.raises(StockHeld):
        await on_listing(market, "update_listing", seller, several, quantity=2)
    assert (await on_listing(market, "update_listing", seller, several, quantity=3))["saleable"] == 0
    with pytest.raises(ListingInAuction, match="scheduled"):
        await on_listing(market, "withdraw_listing", seller, listing)
    market.clock_ms = start
    await market.run_timers()
    with pytest.raises(ListingInAuction, match="live"):
        await on_listing(market, "withdraw_listing", seller, listing)
    await market.call("cancel_auction", seller, auction_id=auction)
    assert (await on_listing(market, "withdraw_listing", seller, listing))["status"] == "withdrawn"


async def test_a_sale_sells_the_listing_in_whichever_way_it_came(market, seller, ann, bob):
    end = now_instant() + HOUR_MS
    fall = {"floor_price": 1_00, "step": 1, "tick_s": 60}
    kinds = {
        "closed": {},
        "bought": {"buy_now_price": 90_00},
        "ended": {},
        "dutch_bid": {"format": "dutch", "dutch": fall},
        "dutch_bought": {"format": "dutch", "dutch": fall},
        "sealed": {"format": "sealed_second_price"},
    }
    listings = dict(zip(kinds, await market.new_listings(seller, len(kinds)), strict=True))
    auctions = {
        kind: (await market.open(seller, listings[kind], ends_at=moment(end), **terms)).id
        for kind, terms in kinds.items()
    }
    for kind in ("closed", "ended", "sealed"):
        await market.bid_now(auctions[kind], ann, 20_00)
        await market.bid_now(auctions[kind], bob, 30_00)
    await market.call("buy_now", ann, auction_id=auctions["bought"], key="k1")
    await market.call("end_early", seller, auction_id=auctions["ended"])
    await market.bid_now(auctions["dutch_bid"], ann, 20_00)
    await market.call("buy_now", ann, auction_id=auctions["dutch_bought"], key="k2")
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    for kind, listing in listings.items():
        row = await listing_row(market, listing)
        assert tuple(row) == ("sold", 0, 3), kind
        _, (number, event) = await listing_events(market, listing)
        assert (number, event["type"], event["kind"]) == (3, "stock_moved", "sale")
        assert (event["quantity"], event["on_hand"], event["auctioned"], event["version"]) == (1, 0, 0, 3)
        assert event["auction_id"] == str(auctions[kind])
        with pytest.raises(ListingNotActive):
            await on_listing(market, "update_listing", seller, listing, title="Another")
        with pytest.raises(ListingNotAuctionable):
            await market.open(seller, listing)
    assert await assert_replays(market.pool, list(auctions.values())) == len(kinds)
    await assert_audited(market, list(auctions.values()))


async def test_an_auction_without_a_sale_leaves_the_listing_active(market, seller, ann):
    end = now_instant() + HOUR_MS
    unsold, cancelled = await market.new_listings(seller, 2)
    first = (await market.open(seller, unsold, ends_at=moment(end), reserve_price=90_00)).id
    second = (await market.open(seller, cancelled, ends_at=moment(end))).id
    await market.bid_now(first, ann, 20_00)
    await market.call("cancel_auction", seller, auction_id=second)
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    for listing in (unsold, cancelled):
        assert tuple(await listing_row(market, listing)) == ("active", 1, 3)
        events = await listing_events(market, listing)
        assert [(event["kind"], event["auctioned"]) for _, event in events] == [("auction", 1), ("return", 0)]
        await market.open(seller, listing, ends_at=moment(end + HOUR_MS))


async def test_of_several_pieces_one_is_sold_and_the_others_stay(market, seller, ann):
    (listing,) = await market.new_listings(seller, 1)
    await market.pool.execute("UPDATE listings SET quantity = 2 WHERE listing_id = $1", listing)
    for left, status in ((1, "active"), (0, "sold")):
        auction = (await market.open(seller, listing)).id
        await market.bid_now(auction, ann, 20_00)
        await market.call("end_early", seller, auction_id=auction)
        assert (await listing_row(market, listing))["status"] == status
        assert (await listing_events(market, listing))[-1][1]["on_hand"] == left


async def test_an_auction_of_several_units_sells_as_many_and_a_reverse_one_sells_none(
    market, seller, ann, bob
):
    end = now_instant() + HOUR_MS
    several, wanted = await market.new_listings(seller, 2)
    await market.pool.execute("UPDATE listings SET quantity = 5 WHERE listing_id = $1", several)
    lot = (await market.open(seller, several, ends_at=moment(end), quantity=3)).id
    reverse = (await market.open(seller, wanted, ends_at=moment(end), format="reverse")).id
    await market.bid_now(lot, ann, 20_00)
    await market.bid_now(lot, bob, 30_00)
    await market.bid_now(reverse, ann, 9_00)
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    assert tuple(await listing_row(market, several)) == ("active", 3, 4)
    moved = [
        (e["kind"], e["quantity"], e["on_hand"], e["auctioned"])
        for _, e in await listing_events(market, several)
    ]
    assert moved == [("auction", 3, 5, 3), ("sale", 2, 3, 1), ("return", 1, 3, 0)]
    assert tuple(await listing_row(market, wanted)) == ("active", 1, 1)
    for auction in (lot, reverse):
        assert (await market.row(auction))["status"] == "sold"
        with pytest.raises(SecondChanceUnavailable):
            await market.call("offer_second_chance", seller, auction_id=auction, nth=1, key=str(auction))


async def test_pieces_promised_before_auctions_held_them_stay_their_buyers(market, seller, ann):
    (listing,) = await market.new_listings(seller, 1)
    auction = (await market.open(seller, listing)).id
    await market.bid_now(auction, ann, 20_00)
    await market.pool.execute(
        "UPDATE listings SET reserved = 1, auctioned = 0 WHERE listing_id = $1", listing
    )
    await market.call("end_early", seller, auction_id=auction)
    assert tuple(await listing_row(market, listing)) == ("active", 1, 2)
    assert [event["kind"] for _, event in await listing_events(market, listing)] == ["auction"]


async def test_until_a_closed_auction_is_settled_its_pieces_stay_held(market, seller, ann):
    end = now_instant() + HOUR_MS
    sold, unsold = await market.new_listings(seller, 2)
    await market.pool.execute("UPDATE listings SET price_minor = 900, currency = 'EUR'")
    auctions = [(await market.open(seller, listing, ends_at=moment(end))).id for listing in (sold, unsold)]
    await market.bid_now(auctions[0], ann, 20_00)
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers_once("close_auction")
    assert [(await market.row(auction))["status"] for auction in auctions] == ["sold", "unsold"]
    for listing in (sold, unsold):
        assert tuple(await listing_row(market, listing)) == ("active", 1, 2)
        assert (await on_listing(market, "get_listing", ann, listing))["saleable"] == 0
        assert isinstance(await reserve(market, ann, listing), InsufficientStock)
        with pytest.raises(ListingAlreadyInAuction, match="try again"):
            await market.open(seller, listing)
        with pytest.raises(ListingInAuction, match="try again"):
            await on_listing(market, "update_listing", seller, listing, title="Another")
        with pytest.raises(ListingInAuction, match="try again"):
            await on_listing(market, "withdraw_listing", seller, listing)
    await market.run_timers()
    assert tuple(await listing_row(market, sold)) == ("sold", 0, 3)
    assert tuple(await listing_row(market, unsold)) == ("active", 1, 3)
    assert not isinstance(await reserve(market, ann, unsold), Exception)


async def test_two_auctions_of_one_listing_are_settled_in_one_batch(market, seller, ann):
    (listing,) = await market.new_listings(seller, 1)
    await market.pool.execute("UPDATE listings SET quantity = 3 WHERE listing_id = $1", listing)
    for _ in range(2):
        end = market.now_ms() + HOUR_MS
        auction = (await market.open(seller, listing, ends_at=moment(end))).id
        await market.bid_now(auction, ann, 20_00)
        market.clock_ms = end + CLOSE_GRACE_MS
        await market.run_timers_once("close_auction")
    assert await market.pool.fetchval("SELECT auctioned FROM listings WHERE listing_id = $1", listing) == 2
    await market.run_timers_once("notify_result")
    events = await listing_events(market, listing)
    assert [(e["kind"], e["on_hand"]) for _, e in events[2:]] == [("sale", 2), ("sale", 1)]
    assert [number for number, _ in events] == [2, 3, 4, 5]
    assert await market.pool.fetchval("SELECT auctioned FROM listings WHERE listing_id = $1", listing) == 0


async def test_watchers_see_what_an_auction_leaves_to_be_had(market, seller, ann):
    (listing,) = await market.new_listings(seller, 1)
    await market.pool.execute("UPDATE listings SET quantity = 5 WHERE listing_id = $1", listing)
    market.published.clear()
    auction = (await market.open(seller, listing, quantity=3)).id
    async with market.pool.acquire() as db:
        number, stock = await read_stock(db, listing)
    assert (number, stock.saleable) == (2, 2)
    shown = await on_listing(market, "get_listing", ann, listing)
    assert [shown[name] for name in ("quantity", "reserved", "auctioned", "saleable")] == [5, 0, 3, 2]
    await market.call("cancel_auction", seller, auction_id=auction)
    seen = [
        (entry.number, msgspec.json.decode(entry.data)["saleable"])
        for channel, entries in market.published
        for entry in entries
        if channel == f"stock:{listing}"
    ]
    assert seen == [(2, 2), (3, 5)]
    with pytest.raises(asyncpg.CheckViolationError):
        await market.pool.execute(
            "UPDATE listings SET reserved = 3, auctioned = 3 WHERE listing_id = $1", listing
        )


async def test_what_is_in_an_auction_cannot_be_reserved(market, second_market, seller, ann):
    (listing,) = await market.new_listings(seller, 1)
    await market.pool.execute(
        "UPDATE listings SET quantity = 10, price_minor = 900, currency = 'EUR' WHERE listing_id = $1",
        listing,
    )
    end = now_instant() + HOUR_MS
    auction = (await market.open(seller, listing, ends_at=moment(end), quantity=6)).id
    answers = await asyncio.gather(
        *(reserve((market, second_market)[place % 2], new_caller(), listing) for place in range(20))
    )
    refused = [answer for answer in answers if isinstance(answer, InsufficientStock)]
    assert (len(answers) - len(refused), len(refused)) == (4, 16)
    assert refused[-1].facts["saleable"] == 0
    assert "an auction sells 6 more" in str(refused[-1])
    await market.call("place_bid", ann, auction_id=auction, amount=20_00, quantity=6, key=str(auction))
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    row = await market.pool.fetchrow(
        "SELECT status, quantity, reserved FROM listings WHERE listing_id = $1", listing
    )
    assert tuple(row) == ("active", 4, 4)


async def test_ending_early_tells_everyone_and_is_checked_by_the_auditor(market, seller, ann, bob):
    end = now_instant() + HOUR_MS
    auction = await market.new_auction(seller, reserve_price=90_00, ends_at=moment(end))
    with pytest.raises(AuctionNotEndable):
        await market.call("end_early", seller, auction_id=auction)
    await market.bid_now(auction, ann, 20_00)
    await market.bid_now(auction, bob, 30_00)
    with pytest.raises(NotAllowed):
        await market.call("end_early", bob, auction_id=auction)
    with pytest.raises(AuctionNotFound):
        await market.call("end_early", seller, auction_id=new_id())
    ended = await market.call("end_early", seller, auction_id=auction)
    assert (ended.status, ended.price, ended.version) == ("sold", 20_50, 4)
    closed = (await market.auction_events(auction))[-1]
    assert (closed["outcome"], closed["price"], closed["ended_early"]) == ("sold", 20_50, True)
    with pytest.raises(AuctionNotLive):
        await market.call("end_early", seller, auction_id=auction)
    await market.run_timers()
    assert [e["type"] for e in await market.personal_events(bob)] == ["auction_won"]
    assert [e["type"] for e in await market.personal_events(ann)] == ["outbid", "auction_lost"]
    assert [e["type"] for e in await market.personal_events(seller)] == [
        "first_bid_placed",
        "auction_sold",
    ]
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    assert len(await market.auction_events(auction)) == 4
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_a_job_is_given_and_units_are_sold_before_the_end_at_the_price_of_now(market, seller, ann, bob):
    end = now_instant() + HOUR_MS
    job = await market.new_auction(
        seller, format="reverse", starting_price=90_00, reserve_price=20_00, ends_at=moment(end)
    )
    lot = await new_lot(market, seller, 3, ends_at=moment(end))
    await market.bid_now(job, ann, 50_00)
    await market.bid_now(job, bob, 40_00)
    await bid_units(market, lot, ann, 20_00, 2)
    await bid_units(market, lot, bob, 30_00, 2)
    given = await market.call("end_early", seller, auction_id=job)
    assert (given.status, given.price) == ("sold", 49_00)
    sold = await market.call("end_early", seller, auction_id=lot)
    assert (sold.status, sold.price) == ("sold", 20_00)
    closed = [(await market.auction_events(one))[-1] for one in (job, lot)]
    assert all(event["ended_early"] for event in closed)
    assert (closed[0].get("winners"), closed[1]["winner"]) == (None, None)
    assert [share["quantity"] for share in closed[1]["winners"]] == [2, 1]
    listings = [(await market.row(one))["listing_id"] for one in (job, lot)]
    assert [(await listing_row(market, one))["quantity"] for one in listings] == [1, 7]
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    assert await assert_replays(market.pool, [job, lot]) == 2
    await assert_audited(market, [job, lot])


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"format": "sealed_second_price"}, "announced to all"),
        ({"format": "dutch", "dutch": {"floor_price": 1_00, "step": 1, "tick_s": 60}}, "first bid"),
        ({"quantity": 1}, "Nobody has bid"),
    ],
)
async def test_an_auction_that_nobody_leads_is_not_ended_early_and_says_why(market, seller, ann, terms, why):
    auction = await market.new_auction(seller, **terms)
    if terms.get("format", "").startswith("sealed"):
        await market.bid_now(auction, ann, 20_00)
    with pytest.raises(AuctionNotEndable, match=why):
        await market.call("end_early", seller, auction_id=auction)
    assert (await market.row(auction))["status"] == "live"


async def test_closings_edits_and_openings_of_one_listing_at_once_never_wait_in_a_ring(
    market, second_market, seller
):
    for _ in range(15):
        end = market.now_ms() + 60_000
        (listing,) = await market.new_listings(seller, 1)
        await market.pool.execute("UPDATE listings SET quantity = 9 WHERE listing_id = $1", listing)
        auction = (await market.open(seller, listing, ends_at=moment(end), exposure_guard=True)).id
        await market.bid_now(auction, new_caller(), 20_00)

        async def reopen(process, listing=listing):
            with suppress(ListingAlreadyInAuction):
                await process.open(seller, listing)

        async def edit(process, title, listing=listing):
            with suppress(ListingInAuction):
                await on_listing(process, "update_listing", seller, listing, title=title)

        await asyncio.gather(
            second_market.call("end_early", seller, auction_id=auction),
            reopen(market),
            edit(market, "One"),
            reopen(second_market),
            edit(second_market, "Two"),
        )
        events = await listing_events(market, listing)
        assert [number for number, _ in events] == list(range(2, len(events) + 2))
        assert (await listing_row(market, listing))["version"] == len(events) + 1
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await market.pool.fetchval(deadlocks) == 0


async def test_more_sales_than_one_statement_takes_are_all_made(market, seller, ann):
    end = now_instant() + HOUR_MS
    listings = await market.new_listings(seller, 60)
    auctions = [(await market.open(seller, listing, ends_at=moment(end))).id for listing in listings]
    await asyncio.gather(*(market.bid(auction, ann, 20_00) for auction in auctions))
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    sold = "SELECT count(*) FROM listings WHERE status = 'sold' AND listing_id = ANY($1)"
    assert await market.pool.fetchval(sold, listings) == 60
    told = "SELECT count(*) FROM events WHERE data::json ->> 'kind' = 'sale' AND stream = ANY($1)"
    assert await market.pool.fetchval(told, [f"listings:{listing}" for listing in listings]) == 60


async def test_a_listing_is_in_as_many_auctions_as_it_has_pieces_even_when_opened_at_once(
    market, second_market, seller, ann
):
    (listing,) = await market.new_listings(seller, 1)
    await market.pool.execute("UPDATE listings SET quantity = 5 WHERE listing_id = $1", listing)
    end = now_instant() + HOUR_MS
    results = await asyncio.gather(
        *(process.open(seller, listing, ends_at=moment(end)) for process in (market, second_market) * 4),
        return_exceptions=True,
    )
    made = [result for result in results if not isinstance(result, Exception)]
    refused = [result for result in results if isinstance(result, Exception)]
    assert (len(made), {type(one) for one in refused}) == (5, {ListingAlreadyInAuction})
    assert refused[0].facts == {"saleable": 0}
    assert (await on_listing(market, "get_listing", ann, listing))["auctioned"] == 5
    await market.bid_now(made[0].id, ann, 20_00)
    await market.call("cancel_auction", seller, auction_id=made[1].id)
    assert (await on_listing(market, "get_listing", ann, listing))["saleable"] == 1
    with pytest.raises(InvalidInput, match="has 1 to sell"):
        await market.open(seller, listing, quantity=2)
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    assert tuple(await listing_row(market, listing))[:2] == ("active", 4)
    assert (await on_listing(market, "get_listing", ann, listing))["saleable"] == 4


async def test_a_listing_in_one_live_and_one_planned_auction_counts_as_live(market, seller):
    (listing,) = await market.new_listings(seller, 1)
    await market.pool.execute("UPDATE listings SET quantity = 2 WHERE listing_id = $1", listing)
    await market.open(seller, listing, starts_at=moment(now_instant() + HOUR_MS))
    live = (await market.open(seller, listing)).id
    with pytest.raises(ListingInAuction) as refused:
        await on_listing(market, "update_listing", seller, listing, title="Another")
    assert refused.value.facts == {"auction_id": str(live)}


@pytest.mark.parametrize("first", ["reverse", "english"])
async def test_a_reverse_auction_is_the_only_one_of_its_listing(market, seller, first):
    (listing,) = await market.new_listings(seller, 1)
    await market.pool.execute("UPDATE listings SET quantity = 9 WHERE listing_id = $1", listing)
    await market.open(seller, listing, format=first)
    for second in {"reverse", "english"} - ({"english"} if first == "english" else set()):
        with pytest.raises(ListingAlreadyInAuction, match="only one"):
            await market.open(seller, listing, format=second)
