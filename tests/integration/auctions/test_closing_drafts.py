"""Closings that were decided before their time: they hold while nothing happens, and give way to whatever does."""

import asyncio
import importlib

import pytest

from handlers.auctions import DOMAIN
from handlers.auctions.closing import closing_drafts
from handlers.auctions.closing.closing_drafts import prepare_closing
from handlers.auctions.rules import CLOSE_GRACE_MS
from protocols.auctions.terms import SoftClose
from protocols.values import now_instant
from tests.integration.auctions.conftest import HOUR_MS, Market, moment, new_caller
from tests.integration.auctions.replay import assert_audited, assert_replays
from tests.support.domains import timer_handlers

TIMERS = timer_handlers(DOMAIN)

close_auction_module = importlib.import_module("handlers.auctions.closing.close_auction")


async def prepare(market: Market, until_ms: int) -> None:
    await market.pipeline.prepare_timers("close_auction", prepare_closing, 0, until_ms, 10_000)


@pytest.fixture
def under_lock(monkeypatch) -> list[list]:
    """The auctions that were decided under the lock of their rows, by call."""
    asked = []
    decide = close_auction_module._close_others

    async def note(refs, queued, stores, now_ms):
        asked.append(list(refs))
        return await decide(refs, queued, stores, now_ms)

    monkeypatch.setattr(close_auction_module, "_close_others", note)
    return asked


async def test_prepared_auctions_close_as_others_do_but_without_being_read_again(
    market, seller, ann, bob, under_lock
):
    end = now_instant() + HOUR_MS
    sold, unsold, below = [
        await market.new_auction(seller, ends_at=moment(end), **terms)
        for terms in ({}, {}, {"reserve_price": 50_00})
    ]
    for auction in (sold, below):
        await market.bid_now(auction, ann, 20_00)
        await market.bid_now(auction, bob, 30_00)
    await prepare(market, end + HOUR_MS)
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    assert under_lock == []
    assert [(await market.row(a))["status"] for a in (sold, unsold, below)] == ["sold", "unsold", "unsold"]
    events = await market.auction_events(sold)
    mask = (await market.row(sold))["leader_mask"]
    assert (events[-1]["type"], events[-1]["price"], events[-1]["winner"]) == ("auction_closed", 20_50, mask)
    assert market.tickers(sold)[-1][0] == len(events)
    assert [event["type"] for event in await market.personal_events(bob)] == [
        "auction_won",
        "auction_lost",
    ]
    kinds = sorted(event["type"] for event in await market.personal_events(seller))
    assert kinds == ["auction_sold", "auction_unsold", "auction_unsold", *["first_bid_placed"] * 2]
    assert await assert_replays(market.pool, [sold, unsold, below]) == 3
    await assert_audited(market, [sold, unsold, below])


async def test_a_drafted_sale_takes_its_piece_off_the_listing_and_a_reverse_one_does_not(
    market, seller, ann, under_lock
):
    end = now_instant() + HOUR_MS
    sold, unsold, bought = [
        await market.new_auction(seller, ends_at=moment(end), **terms)
        for terms in ({}, {}, {"format": "reverse", "starting_price": 100_00})
    ]
    for auction in (sold, bought):
        await market.bid_now(auction, ann, 20_00)
    await prepare(market, end + HOUR_MS)
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    assert under_lock == []
    left = [
        tuple(
            await market.pool.fetchrow(
                "SELECT l.status, l.quantity FROM listings AS l JOIN auctions AS a USING (listing_id)"
                " WHERE a.auction_id = $1",
                auction,
            )
        )
        for auction in (sold, unsold, bought)
    ]
    assert left == [("sold", 0), ("active", 1), ("active", 1)]
    assert [(await market.row(a))["status"] for a in (sold, unsold, bought)] == ["sold", "unsold", "sold"]


async def test_a_guarded_auction_is_decided_under_its_lock(market, seller, ann, under_lock):
    end = now_instant() + HOUR_MS
    auction = await market.new_auction(seller, ends_at=moment(end), exposure_guard=True)
    await market.bid_now(auction, ann, 20_00)
    await prepare(market, end + HOUR_MS)
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    assert under_lock == [[auction]]
    assert (await market.row(auction))["status"] == "sold"


async def test_a_bid_after_the_preparation_counts(market, seller, ann, bob, under_lock):
    end = now_instant() + HOUR_MS
    quiet, busy, prepared_again = [await market.new_auction(seller, ends_at=moment(end)) for _ in range(3)]
    for auction in (quiet, busy, prepared_again):
        await market.bid_now(auction, ann, 20_00)
    await prepare(market, end + HOUR_MS)
    await market.bid_now(busy, bob, 30_00)
    await market.bid_now(prepared_again, bob, 30_00)
    draft = closing_drafts._drafts.pop(busy)
    await prepare(market, end + HOUR_MS)
    closing_drafts._drafts[busy] = draft  # as if the bid had come after the second look
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    assert under_lock == [[busy]]
    winners = [(await market.row(auction))["leader_id"] for auction in (quiet, busy, prepared_again)]
    assert winners == [ann.id, bob.id, bob.id]
    assert [(await market.row(auction))["price"] for auction in (busy, prepared_again)] == [20_50, 20_50]
    await assert_audited(market, [quiet, busy, prepared_again])


async def test_a_draft_of_an_extended_or_cancelled_auction_closes_nothing(market, seller, ann):
    end = now_instant() + HOUR_MS
    soft = SoftClose(window_s=60, extend_s=90, max_extensions=5)
    extended = await market.new_auction(seller, ends_at=moment(end), soft_close=soft)
    cancelled = await market.new_auction(seller, ends_at=moment(end))
    await prepare(market, end + HOUR_MS)
    await market.call("cancel_auction", seller, auction_id=cancelled)
    market.clock_ms = end - 1_000
    await market.bid_now(extended, ann, 20_00)
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    assert [(await market.row(a))["status"] for a in (extended, cancelled)] == ["live", "cancelled"]
    await prepare(market, end + HOUR_MS)
    await market.pool.execute("UPDATE timers SET due_at_ms = 0 WHERE ref = $1", extended)
    await market.run_timers_once("close_auction")
    assert (await market.row(extended))["status"] == "live", "a draft is never early"
    market.clock_ms = end + 89_000 + CLOSE_GRACE_MS
    await market.run_timers()
    assert (await market.row(extended))["status"] == "sold"


async def test_an_auction_that_a_bid_holds_is_waited_for(market, seller, ann, under_lock):
    end = now_instant() + HOUR_MS
    held, free = [await market.new_auction(seller, ends_at=moment(end)) for _ in range(2)]
    for auction in (held, free):
        await market.bid_now(auction, ann, 20_00)
    await prepare(market, end + HOUR_MS)
    market.clock_ms = end + CLOSE_GRACE_MS
    async with market.pool.acquire() as db, db.transaction():
        await db.execute("SELECT FROM auctions WHERE auction_id = $1 FOR UPDATE", held)
        closing = asyncio.create_task(market.run_timers())
        done, _ = await asyncio.wait([closing], timeout=0.3)
        assert not done
    await closing
    assert under_lock == [[held]]
    assert [(await market.row(a))["status"] for a in (held, free)] == ["sold", "sold"]
    for auction in (held, free):
        kinds = [event["type"] for event in await market.auction_events(auction)]
        assert kinds.count("auction_closed") == 1


async def test_two_workers_close_a_prepared_crowd_once_each(market, seller, ann):
    end = now_instant() + HOUR_MS
    auctions = [await market.new_auction(seller, ends_at=moment(end)) for _ in range(60)]
    await asyncio.gather(*(market.bid(auction, new_caller(), 20_00) for auction in auctions))
    await prepare(market, end + HOUR_MS)
    market.clock_ms = end + CLOSE_GRACE_MS
    handler = TIMERS["close_auction"]
    ran = await asyncio.gather(*(market.pipeline.run_timers("close_auction", handler, 7) for _ in range(10)))
    assert sum(map(len, ran)) == 60
    for auction in auctions:
        kinds = [event["type"] for event in await market.auction_events(auction)]
        assert kinds == ["auction_opened", "bid_placed", "auction_closed"]


async def test_drafts_are_bounded(market, seller, monkeypatch):
    monkeypatch.setattr(closing_drafts, "DRAFTS_MAX", 5)
    end = now_instant() + HOUR_MS
    auctions = [await market.new_auction(seller, ends_at=moment(end)) for _ in range(12)]
    await prepare(market, end + HOUR_MS)
    assert len(closing_drafts._drafts) == 5
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    assert {(await market.row(auction))["status"] for auction in auctions} == {"unsold"}
