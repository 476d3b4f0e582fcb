"""An auction from its opening to its end: terms, schedule, purchase, retraction, cancellation, closing, lists."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from handlers.auctions import DOMAIN
from handlers.auctions.closing import notify_losers
from handlers.auctions.rules import CLOSE_GRACE_MS
from protocols.auctions.refusals import (
    AuctionNotCancellable,
    AuctionNotFound,
    AuctionNotLive,
    BidNotRetractable,
    BuyNowUnavailable,
    ListingAlreadyInAuction,
    ListingNotAuctionable,
    OwnAuction,
)
from protocols.auctions.terms import SoftClose
from protocols.errors import InvalidInput, KeyRequired, NotAllowed, Unauthenticated
from protocols.listings.refusals import CategoryNotFound
from protocols.values import new_id, now_instant
from server.domains import timers_of
from server.worker.timers import Timers
from tests.integration.auctions.conftest import ANONYMOUS, HOUR_MS, moment, new_caller
from tests.integration.auctions.replay import assert_audited, assert_replays
from tests.support.domains import timer_handlers

TIMERS = timer_handlers(DOMAIN)

DAY_MS = 24 * HOUR_MS


# -- opening --


async def test_an_opened_auction_is_live_and_shown_to_anyone(market, seller):
    (listing,) = await market.new_listings(seller, 1)
    made = await market.open(seller, listing, reserve_price=20_00, buy_now_price=90_00)
    assert (made.status, made.price, made.minimum_bid, made.bid_count) == ("live", 10_00, 10_00, 0)
    assert (made.leader, made.has_reserve, made.reserve_met, made.buy_now_price) == (None, True, False, 90_00)
    seen = await market.call("get_auction", auction_id=made.id)
    assert msgspec.structs.replace(seen, server_time=made.server_time) == made
    assert (made.position.offset, made.version) == (1, 1)
    (opened,) = await market.auction_events(made.id)
    assert "reserve_price" not in opened
    timers = await market.pool.fetch("SELECT kind, due_at_ms FROM timers WHERE ref = $1", made.id)
    end = (await market.row(made.id))["ends_at_ms"]
    assert {tuple(timer) for timer in timers} == {
        ("close_auction", end + CLOSE_GRACE_MS),
        *((f"ending_soon_{lead_s}", end - lead_s * 1000) for lead_s in (60, 600, 3600)),
    }


@pytest.mark.parametrize(
    ("terms", "pointer"),
    [
        ({"currency": "XXX"}, "/currency"),
        ({"reserve_price": 9_99}, "/reserve_price"),
        ({"buy_now_price": 10_00}, "/buy_now_price"),
        ({"starts_at": moment(now_instant() - 10 * 60_000)}, "/starts_at"),
        (
            {
                "starts_at": moment(now_instant() + 91 * DAY_MS),
                "ends_at": moment(now_instant() + 92 * DAY_MS),
            },
            "/starts_at",
        ),
        ({"ends_at": moment(now_instant() - 1)}, "/ends_at"),
        ({"ends_at": moment(now_instant() + 91 * DAY_MS)}, "/ends_at"),
        ({"ends_at": datetime(1, 1, 1, tzinfo=UTC)}, "/ends_at"),
        ({"ends_at": datetime(9999, 12, 31, tzinfo=UTC)}, "/ends_at"),
        ({"starts_at": moment(now_instant() + 3 * DAY_MS)}, "/ends_at"),
        ({"increments": [(100, 5), (50, 6)]}, "/increments"),
        ({"increments": [(None, 5), (50, 6)]}, "/increments"),
        ({"dutch": {"floor_price": 1, "step": 1, "tick_s": 1}}, "/dutch"),
    ],
)
async def test_terms_that_do_not_fit_are_refused_with_a_pointer(market, seller, terms, pointer):
    (listing,) = await market.new_listings(seller, 1)
    with pytest.raises(InvalidInput) as refused:
        await market.open(seller, listing, **terms)
    assert [error["pointer"] for error in refused.value.facts["errors"]] == [pointer]
    assert await market.pool.fetchval("SELECT count(*) FROM auctions WHERE listing_id = $1", listing) == 0


@pytest.mark.parametrize(
    "terms",
    [
        {"starting_price": 0},
        {"starting_price": 2**53},
        {"currency": "eur"},
        {"soft_close": {"window_s": 29, "extend_s": 60, "max_extensions": 3}},
        {"soft_close": {"window_s": 1801, "extend_s": 60, "max_extensions": 3}},
        {"increments": []},
        {"increments": [[100, 0]]},
        {"increments": [[n, 1] for n in range(1, 100)]},
        {"format": "silent"},
    ],
)
async def test_terms_out_of_bounds_are_no_command(market, seller, terms):
    with pytest.raises(msgspec.ValidationError):
        await market.open(seller, new_id(), **terms)


async def test_only_the_owner_of_an_active_listing_opens_an_auction(market, seller, ann):
    (listing,) = await market.new_listings(seller, 1)
    (withdrawn,) = await market.new_listings(seller, 1, status="withdrawn")
    with pytest.raises(NotAllowed):
        await market.open(ann, listing)
    with pytest.raises(Unauthenticated):
        await market.open(ANONYMOUS, listing)
    for absent in (withdrawn, new_id()):
        with pytest.raises(ListingNotAuctionable):
            await market.open(seller, absent)


async def test_one_piece_is_in_one_open_auction_even_when_opened_twice_at_once(market, seller):
    (listing,) = await market.new_listings(seller, 1)
    results = await asyncio.gather(*(market.open(seller, listing) for _ in range(6)), return_exceptions=True)
    kinds = sorted(type(result).__name__ for result in results)
    assert kinds == ["Auction", *["ListingAlreadyInAuction"] * 5]
    (made,) = [result for result in results if not isinstance(result, ListingAlreadyInAuction)]
    await market.call("cancel_auction", seller, auction_id=made.id)
    assert (await market.open(seller, listing)).status == "live"


# -- schedule --


async def test_a_scheduled_auction_takes_bids_from_its_start(market, seller, ann):
    start = market.clock_ms = now_instant() + 60_000
    market.clock_ms = start - 60_000
    auction = await market.new_auction(seller, starts_at=moment(start))
    assert (await market.call("get_auction", auction_id=auction)).status == "scheduled"
    market.clock_ms = start - 1
    await market.run_timers()
    with pytest.raises(AuctionNotLive):
        await market.bid_now(auction, ann, 20_00)
    market.clock_ms = start
    await market.run_timers()
    receipt = await market.bid_now(auction, ann, 20_00)
    assert receipt.offset == 3
    kinds = [event["type"] for event in await market.auction_events(auction)]
    assert kinds == ["auction_opened", "auction_started", "bid_placed"]
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_a_start_timer_that_comes_early_or_twice_starts_nothing(market, seller):
    start = now_instant() + 60_000
    auction = await market.new_auction(seller, starts_at=moment(start))
    assert {"close_auction", "open_scheduled_auction"} < set(await market.timers_of(auction))
    await market.pool.execute("UPDATE timers SET due_at_ms = 0 WHERE ref = $1", auction)
    await market.run_timers_once("open_scheduled_auction")
    assert (await market.row(auction))["status"] == "scheduled"
    await market.pool.execute(
        "INSERT INTO timers (due_at_ms, kind, ref) VALUES ($1, 'open_scheduled_auction', $2)", start, auction
    )
    market.clock_ms = start
    await market.run_timers_once("open_scheduled_auction")
    assert [event["type"] for event in await market.auction_events(auction)] == [
        "auction_opened",
        "auction_started",
    ]


# -- closing --


async def test_closing_is_never_early_and_tells_winner_losers_and_seller(market, seller, ann, bob):
    end = now_instant() + HOUR_MS
    auction = await market.new_auction(seller, ends_at=moment(end))
    gone = new_caller()
    await market.bid_now(auction, ann, 20_00)
    await market.bid_now(auction, bob, 30_00)
    market.clock_ms = end + CLOSE_GRACE_MS - 1
    await close_early(market, auction)
    assert (await market.row(auction))["status"] == "live"
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    events = await market.auction_events(auction)
    mask = (await market.row(auction))["leader_mask"]
    assert events[-1] | {"at": ""} == {
        "type": "auction_closed",
        "at": "",
        "outcome": "sold",
        "price": 20_50,
        "winner": mask,
        "bid_count": 2,
        "bought_now": False,
    }
    assert [event["type"] for event in await market.personal_events(bob)] == ["auction_won"]
    assert [event["type"] for event in await market.personal_events(ann)] == ["outbid", "auction_lost"]
    first, sold = await market.personal_events(seller)
    assert first["type"] == "first_bid_placed"
    assert (sold["type"], sold["buyer_id"], sold["price"]) == ("auction_sold", str(bob.id), 20_50)
    assert await market.personal_events(gone) == []
    assert await market.timers_of(auction) == ["review_auction"]
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_the_workers_timers_close_on_time_and_not_before(market, seller, ann):
    begun = now_instant()
    await market.bid_now(await market.new_auction(seller), ann, 20_00)
    slow = 40 * (now_instant() - begun)  # what this machine takes for the twenty, and as long again
    end = now_instant() + 1_500 + slow
    auctions = [await market.new_auction(seller, ends_at=moment(end)) for _ in range(20)]
    for auction in auctions:
        await market.bid_now(auction, ann, 20_00)
    timers = Timers(market.pipeline._database, market.pipeline, timers_of((DOMAIN,)))
    worker = asyncio.create_task(timers.run())
    try:
        async with asyncio.timeout(10 + slow / 1000):
            while await market.pool.fetchval(
                "SELECT count(*) FROM auctions WHERE status = 'live' AND auction_id = ANY($1)", auctions
            ):
                await asyncio.sleep(0.02)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    closed_at = await market.pool.fetch(
        "SELECT at_ms FROM events WHERE type = 'auction_closed' AND stream = ANY($1)",
        [f"auctions:{auction}" for auction in auctions],
    )
    assert len(closed_at) == 20
    assert all(end <= row["at_ms"] < end + 2_000 + slow for row in closed_at)


async def close_early(market, auction: UUID) -> None:
    """Run the close handler before its time, as a clock that jumped back would; it asks to be called again."""
    await market.pool.execute("UPDATE timers SET due_at_ms = 0 WHERE ref = $1", auction)
    await market.run_timers_once("close_auction")
    due = await market.pool.fetch(
        "SELECT due_at_ms FROM timers WHERE ref = $1 AND kind = 'close_auction'", auction
    )
    assert [row["due_at_ms"] for row in due] == [(await market.row(auction))["ends_at_ms"] + CLOSE_GRACE_MS]


async def test_an_extended_auction_closes_at_its_new_end(market, seller, ann, bob):
    end = now_instant() + HOUR_MS
    soft = SoftClose(window_s=60, extend_s=90, max_extensions=5)
    auction = await market.new_auction(seller, ends_at=moment(end), soft_close=soft)
    market.clock_ms = end - 1_000
    await market.bid_now(auction, ann, 20_00)
    market.clock_ms = end
    await market.run_timers()
    assert (await market.row(auction))["status"] == "live"
    await market.bid_now(auction, bob, 30_00)
    market.clock_ms = end + 89_000 + CLOSE_GRACE_MS - 1
    await market.run_timers()
    assert (await market.row(auction))["status"] == "live"
    market.clock_ms = end + 89_000 + CLOSE_GRACE_MS
    await market.run_timers()
    assert (await market.row(auction))["status"] == "sold"
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_an_auction_whose_reserve_was_not_met_is_unsold(market, seller, ann):
    end = now_instant() + HOUR_MS
    auction = await market.new_auction(seller, ends_at=moment(end), reserve_price=50_00)
    await market.bid_now(auction, ann, 49_99)
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    closed = (await market.auction_events(auction))[-1]
    assert (closed["outcome"], closed["winner"]) == ("unsold", None)
    assert [event["type"] for event in await market.personal_events(ann)] == ["auction_lost"]
    assert [event["type"] for event in await market.personal_events(seller)] == [
        "first_bid_placed",
        "auction_unsold",
    ]
    with pytest.raises(AuctionNotLive):
        await market.bid_now(auction, ann, 60_00)


async def test_losers_are_told_in_chunks_and_each_once(market, seller, monkeypatch):
    monkeypatch.setattr(notify_losers, "LOSERS_CHUNK", 7)
    end = now_instant() + HOUR_MS
    auctions = [await market.new_auction(seller, ends_at=moment(end)) for _ in range(2)]
    bidders = [new_caller() for _ in range(20)]
    bids = [(auction, who, 20_00 + 2_00 * n) for auction in auctions for n, who in enumerate(bidders)]
    await asyncio.gather(*(market.bid(*bid) for bid in bids))
    market.clock_ms = end + CLOSE_GRACE_MS
    for lead_s in (60, 600):
        await market.run_timers_once(f"ending_soon_{lead_s}")
    await market.run_timers_once("close_auction")
    assert [await market.timers_of(auction) for auction in auctions] == [["notify_result"]] * 2
    await market.run_timers_once("notify_result")
    assert [await market.timers_of(auction) for auction in auctions] == [["queue_losers"]] * 2
    await market.run_timers_once("queue_losers")
    assert [await market.timers_of(auction) for auction in auctions] == [
        ["notify_losers", "review_auction"]
    ] * 2
    await market.run_timers()
    for who in bidders[:-1]:
        lost = [e["auction_id"] for e in await market.personal_events(who) if e["type"] == "auction_lost"]
        assert sorted(lost) == sorted(map(str, auctions))
    kinds = [event["type"] for event in await market.personal_events(bidders[-1])]
    assert kinds == ["auction_won", "auction_won"]
    assert await market.pool.fetchval("SELECT count(*) FROM auction_losers") == 0


# -- buy now --


async def test_of_many_buyers_at_once_exactly_one_wins(market, seller):
    auction = await market.new_auction(seller, buy_now_price=50_00)
    buyers = [new_caller() for _ in range(8)]
    under = new_caller()
    await market.bid_now(auction, under, 90_00)
    results = await asyncio.gather(
        *(market.call("buy_now", buyer, auction_id=auction, key="k") for buyer in buyers),
        market.bid_now(auction, buyers[0], 45_00),
        return_exceptions=True,
    )
    wins = [n for n, result in enumerate(results[:8]) if not isinstance(result, Exception)]
    assert len(wins) == 1
    assert {type(r) for n, r in enumerate(results[:8]) if n not in wins} == {AuctionNotLive}
    row = await market.row(auction)
    assert (row["status"], row["price"], row["leader_id"]) == ("sold", 50_00, buyers[wins[0]].id)
    closed = (await market.auction_events(auction))[-1]
    assert (closed["outcome"], closed["price"], closed["bought_now"]) == ("sold", 50_00, True)
    await market.run_timers()
    assert [e["type"] for e in await market.personal_events(under)][-1] == "auction_lost"
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_buy_now_is_refused_where_it_is_not_offered(market, seller, ann, bob):
    auction = await market.new_auction(seller, buy_now_price=30_00)
    plain = await market.new_auction(seller)
    with pytest.raises(KeyRequired):
        await market.call("buy_now", ann, auction_id=auction)
    with pytest.raises(OwnAuction):
        await market.call("buy_now", seller, auction_id=auction, key="k")
    with pytest.raises(BuyNowUnavailable):
        await market.call("buy_now", ann, auction_id=plain, key="k")
    with pytest.raises(AuctionNotFound):
        await market.call("buy_now", ann, auction_id=new_id(), key="k")
    await market.bid_now(auction, ann, 90_00)
    await market.bid_now(auction, bob, 30_00)
    assert (await market.call("get_auction", auction_id=auction)).buy_now_price is None
    with pytest.raises(BuyNowUnavailable):
        await market.call("buy_now", bob, auction_id=auction, key="k")
    assert len(await market.auction_events(auction)) == 3


# -- retraction and cancellation --


async def test_early_retraction_takes_all_own_bids_and_the_runner_up_leads_again(market, seller, ann, bob):
    auction = await market.new_auction(seller)
    await market.bid_now(auction, ann, 20_00)
    first = await market.bid_now(auction, bob, 30_00)
    await market.bid_now(auction, bob, 80_00)
    answer = await market.call("retract_bid", bob, auction_id=auction, bid_id=first.bid_id)
    assert (answer.retracted, answer.price, answer.bid_count, answer.offset) == (2, 10_00, 1, 5)
    event = (await market.auction_events(auction))[-1]
    assert (event["type"], event["price"], event["minimum_bid"]) == ("bid_retracted", 10_00, 10_50)
    assert [e["type"] for e in await market.personal_events(ann)] == ["outbid", "leading_again"]
    listed = (await market.call("list_bids", auction_id=auction)).items
    assert [bid.retracted for bid in listed] == [True, True, False]
    with pytest.raises(BidNotRetractable):
        await market.call("retract_bid", bob, auction_id=auction, bid_id=first.bid_id)
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_late_retraction_takes_only_a_fresh_last_bid(market, seller, ann):
    end = now_instant() + 48 * HOUR_MS
    auction = await market.new_auction(seller, ends_at=moment(end))
    market.clock_ms = end - 11 * HOUR_MS
    first = await market.bid_now(auction, ann, 20_00)
    last = await market.bid_now(auction, ann, 30_00)
    market.clock_ms += HOUR_MS
    with pytest.raises(BidNotRetractable):
        await market.call("retract_bid", ann, auction_id=auction, bid_id=first.bid_id)
    answer = await market.call("retract_bid", ann, auction_id=auction, bid_id=last.bid_id)
    assert (answer.retracted, answer.bid_count) == (1, 1)
    market.clock_ms += 1
    with pytest.raises(BidNotRetractable):
        await market.call("retract_bid", ann, auction_id=auction, bid_id=first.bid_id)
    assert (await market.row(auction))["leader_max"] == 20_00


async def test_a_strangers_bid_and_an_unknown_bid_cannot_be_retracted(market, seller, ann, bob):
    auction = await market.new_auction(seller)
    receipt = await market.bid_now(auction, ann, 20_00)
    with pytest.raises(NotAllowed):
        await market.call("retract_bid", bob, auction_id=auction, bid_id=receipt.bid_id)
    with pytest.raises(BidNotRetractable):
        await market.call("retract_bid", ann, auction_id=auction, bid_id=new_id())
    with pytest.raises(AuctionNotFound):
        await market.call("retract_bid", ann, auction_id=new_id(), bid_id=receipt.bid_id)
    assert len(await market.auction_events(auction)) == 2


async def test_cancelling_is_for_the_seller_and_not_late_with_bids(market, seller, ann):
    end = now_instant() + 48 * HOUR_MS
    late, early = [await market.new_auction(seller, ends_at=moment(end)) for _ in range(2)]
    for auction in (late, early):
        await market.bid_now(auction, ann, 20_00)
    with pytest.raises(NotAllowed):
        await market.call("cancel_auction", ann, auction_id=early)
    answer = await market.call("cancel_auction", seller, auction_id=early)
    assert (answer.status, answer.version, answer.position.offset) == ("cancelled", 3, 3)
    closed = (await market.auction_events(early))[-1]
    assert (closed["type"], closed["outcome"], closed["winner"]) == ("auction_closed", "cancelled", None)
    market.clock_ms = end - 12 * HOUR_MS + 1
    with pytest.raises(AuctionNotCancellable):
        await market.call("cancel_auction", seller, auction_id=late)
    with pytest.raises(AuctionNotLive):
        await market.call("cancel_auction", seller, auction_id=early)
    await market.run_timers()
    (lost,) = await market.personal_events(ann)
    assert (lost["type"], lost["outcome"], lost["auction_id"]) == ("auction_lost", "cancelled", str(early))


# -- lists --


async def test_lists_page_through_all_auctions_of_a_seller_by_end(market, seller):
    now = now_instant()
    made = [await market.new_auction(seller, ends_at=moment(now + n % 3 * DAY_MS + DAY_MS)) for n in range(7)]
    await market.call("cancel_auction", seller, auction_id=made[0])
    pages, cursor = [], None
    while True:
        page = await market.call("list_auctions", seller=seller.id, limit=3, cursor=cursor)
        pages.append([item.id for item in page.items])
        cursor = page.next_cursor
        if cursor is None:
            break
        await market.new_auction(seller, ends_at=moment(now + 2_000))
    assert [len(page) for page in pages] == [3, 3, 1]
    assert sorted(id_ for page in pages for id_ in page) == sorted(made)
    live = await market.call("list_auctions", seller=seller.id, status="cancelled")
    assert [item.id for item in live.items] == [made[0]]
    by_status = await market.call("list_auctions", status="cancelled", limit=100)
    assert made[0] in {item.id for item in by_status.items}
    ends = [item.ends_at for item in (await market.call("list_auctions", limit=100)).items]
    assert ends == sorted(ends)


async def test_filters_find_what_fits_all_of_them(market, seller, ann):
    now = market.clock_ms = now_instant()
    cheap, dear, late, sealed, yen, bike = listings = await market.new_listings(seller, 6)
    await market.pool.execute("UPDATE listings SET category = 'phones' WHERE listing_id = $1", bike)
    terms = {
        cheap: {},
        dear: {"starting_price": 500_00},
        late: {"ends_at": moment(now + 5 * DAY_MS)},
        sealed: {"format": "sealed_first_price"},
        yen: {"currency": "JPY"},
        bike: {},
    }
    made = {listing: (await market.open(seller, listing, **terms[listing])).id for listing in listings}
    await market.bid_now(made[cheap], ann, 20_00)

    async def found(**filters):
        pages, cursor = [], None
        while True:
            page = await market.call("list_auctions", seller=seller.id, limit=2, cursor=cursor, **filters)
            pages += [item.id for item in page.items]
            if (cursor := page.next_cursor) is None:
                return {listing for listing in listings if made[listing] in pages}

    everything = set(listings)
    assert await found() == everything
    assert await found(format="sealed_first_price") == {sealed}
    assert await found(currency="JPY") == {yen}
    assert await found(min_price=10_01, currency="EUR") == {dear}
    assert await found(max_price=499_99, currency="EUR") == everything - {dear, yen}
    assert await found(min_price=10_00, max_price=10_00, currency="EUR", has_bids=True) == {cheap}
    assert await found(has_bids=False) == everything - {cheap}
    assert await found(ends_within_s=3 * 86_400) == everything - {late}
    assert await found(category="electronics") == {bike}, "descendants count"
    assert await found(category="other", has_bids=True) == {cheap}
    await market.call("cancel_auction", seller, auction_id=made[dear])
    assert await found(min_price=10_01, currency="EUR") == set(), "with a filter live ones are meant"
    assert await found(min_price=10_01, currency="EUR", status="cancelled") == {dear}
    with pytest.raises(CategoryNotFound):
        await found(category="nowhere")
    for unclear in ({"min_price": 1}, {"max_price": 1}, {"currency": "XYZ"}):
        with pytest.raises(InvalidInput) as refused:
            await found(**unclear)
        assert refused.value.facts["errors"][0]["pointer"] == "/currency"
    for bad in ({"min_price": 0}, {"ends_within_s": 0}, {"format": "silent"}, {"has_bids": "perhaps"}):
        with pytest.raises(msgspec.ValidationError):
            await found(**bad)


async def test_auctions_near_a_place_are_listed_by_end_with_their_distance(market, seller):
    now = market.clock_ms = now_instant()
    berlin, potsdam, paris, nowhere, sold = listings = await market.new_listings(seller, 5)
    places = {
        berlin: (52.52, 13.405),
        potsdam: (52.39, 13.065),
        paris: (48.8566, 2.3522),
        sold: (52.52, 13.405),
    }
    for listing, (lat, lon) in places.items():
        await market.pool.execute(
            "UPDATE listings SET location = ST_SetSRID(ST_MakePoint($2, $3), 4326) WHERE listing_id = $1",
            listing,
            lon,
            lat,
        )
    order = [potsdam, berlin, paris, nowhere, sold]
    ends = {listing: moment(now + (1 + place) * DAY_MS) for place, listing in enumerate(order)}
    made = {listing: (await market.open(seller, listing, ends_at=ends[listing])).id for listing in listings}
    await market.call("cancel_auction", seller, auction_id=made[sold])
    await market.pool.execute("UPDATE listings SET status = 'sold' WHERE listing_id = $1", sold)

    async def found(**filters):
        items, cursor = [], None
        while True:
            page = await market.call("list_auctions", seller=seller.id, limit=1, cursor=cursor, **filters)
            items += page.items
            if (cursor := page.next_cursor) is None:
                return {next(x for x in listings if made[x] == item.id): item.distance_m for item in items}

    near = await found(near="52.52,13.405")
    assert list(near) == [potsdam, berlin], "the soonest to end first"
    assert near[berlin] == pytest.approx(0, abs=1)
    assert near[potsdam] == pytest.approx(27_230, rel=0.01)
    assert list(await found(near=" 52.52 , 13.405 ", radius_m=1000)) == [berlin]
    assert list(await found(near="52.52,13.405", radius_m=1_000_000)) == [potsdam, berlin, paris]
    assert list(await found(near="52.52,13.405", category="other", format="english")) == [potsdam, berlin]
    assert list(await found(near="52.52,13.405", category="phones")) == []
    assert list(await found(near="52.52,13.405", status="cancelled")) == [sold], "what was sold is near too"
    assert set((await found(status="live")).values()) == {None}
    for bad in ("52.52", "91,0", "0,181", "north,south", "1e1,2"):
        with pytest.raises(InvalidInput) as refused:
            await found(near=bad)
        assert refused.value.facts["errors"][0]["pointer"] == "/near"
    for bad in (0, 20_000_001):
        with pytest.raises(msgspec.ValidationError):
            await found(near="52.52,13.405", radius_m=bad)


async def test_bids_page_backwards(market, seller):
    auction = await market.new_auction(seller)
    bidders = [new_caller() for _ in range(5)]
    await asyncio.gather(*(market.bid(auction, who, 20_00 + n * 2_00) for n, who in enumerate(bidders)))
    first = await market.call("list_bids", auction_id=auction, limit=3)
    rest = await market.call("list_bids", auction_id=auction, limit=3, cursor=first.next_cursor)
    assert [bid.offset for bid in first.items + rest.items] == [6, 5, 4, 3, 2]
    assert rest.next_cursor is None


@pytest.mark.parametrize("cursor", ["x", "é", "W10", "WzFd", "eyJhIjoxfQ", "A" * 512])
async def test_a_cursor_of_something_else_is_refused(market, cursor):
    with pytest.raises(InvalidInput) as refused:
        await market.call("list_auctions", cursor=cursor)
    assert refused.value.facts["errors"][0]["pointer"] == "/cursor"


async def test_an_unknown_auction_is_not_found(market):
    for verb in ("get_auction", "list_bids"):
        with pytest.raises(AuctionNotFound):
            await market.call(verb, auction_id=new_id())
