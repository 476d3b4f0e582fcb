"""An auction does not close before bids that a server received in time: real queues, a real lock that holds them up."""

import asyncio
from contextlib import asynccontextmanager
from operator import attrgetter

import msgspec
import pytest

from handlers.auctions import DOMAIN, ROUTES, rules
from handlers.auctions.rules import CLOSE_WAIT_MAX_MS, must_wait
from protocols.auctions.commands import BidReceipt
from protocols.auctions.refusals import AuctionNotLive
from protocols.errors import InvalidInput
from protocols.values import new_id, now_instant
from server.commands.backlog import Backlog, watch_backlog
from server.domains import timers_of
from server.worker.timers import Timers
from storage.engines.tasks import end_tasks
from storage.platform.backlog_redis import BacklogStore, read_backlog
from tests.integration.auctions.conftest import moment, new_caller
from tests.integration.auctions.replay import assert_audited, assert_replays
from tests.support.waiting import until

BIDS = "auctions.place_bid"
KEY = f"backlog:{BIDS}"


@pytest.mark.parametrize(
    ("oldest_ms", "now_ms", "waits"),
    [
        (None, 1_000, False),
        (999, 1_000, True),
        (1_000, 1_000, False),
        (999, 1_000 + CLOSE_WAIT_MAX_MS - 1, True),
        (999, 1_000 + CLOSE_WAIT_MAX_MS, False),
    ],
)
def test_a_closing_waits_for_bids_of_before_the_end_and_not_for_ever(oldest_ms, now_ms, waits):
    assert must_wait(1_000, oldest_ms, now_ms) is waits


@asynccontextmanager
async def held_up(market, auction):
    """Bids on this auction, and all that queue behind them in their process, wait."""
    async with market.pool.acquire() as db, db.transaction():
        await db.execute("SELECT FROM auctions WHERE auction_id = $1 FOR UPDATE", auction)
        yield


@asynccontextmanager
async def running(*coroutines):
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        await end_tasks(tasks)


def closer(market):
    return Timers(market.pipeline._database, market.pipeline, timers_of((DOMAIN,))).run()


def machinery(market, redis):
    """What tells the backlog of the market's process, and what closes."""
    return watch_backlog(market.pipeline.groups, ROUTES, redis, "p1"), closer(market)


async def closed_at(market, auction):
    async with asyncio.timeout(30):
        while not (
            rows := await market.pool.fetch(
                "SELECT at_ms FROM events WHERE type = 'auction_closed' AND stream = $1",
                f"auctions:{auction}",
            )
        ):
            await asyncio.sleep(0.01)
    return rows[0]["at_ms"]


async def status_of(market, auction):
    return (await market.row(auction))["status"]


@pytest.fixture
def patient(monkeypatch):
    """Closings wait for so long that only the state of the queue ends the wait, however slow the machine is."""
    monkeypatch.setattr(rules, "CLOSE_WAIT_MAX_MS", 60_000)


async def about_to_end(market, seller, ann):
    """Open two auctions and bid on the first; return them half a second before their end, which is returned too."""
    for lead_ms in (1_500, 5_000, 15_000):  # a slow machine takes longer to get here
        end = now_instant() + lead_ms
        try:
            pair = [await market.new_auction(seller, ends_at=moment(end)) for _ in range(2)]
        except InvalidInput:  # an auction lasts a second at least
            continue
        if now_instant() < end - 800:
            await market.bid_now(pair[0], ann, 20_00)
            await until(lambda end=end: now_instant() > end - 500)
            return end, *pair
    raise AssertionError("two auctions are not opened in sixteen seconds")


async def test_a_bid_that_queued_over_the_end_counts(market, redis, seller, ann, patient):
    busy = await market.new_auction(seller)
    end, auction, idle = await about_to_end(market, seller, ann)
    late = new_caller()
    async with running(*machinery(market, redis)):
        async with held_up(market, busy):
            first = market.bid(busy, ann, 20_00)
            queued = market.bid(auction, late, 30_00)
            await closed_at(market, idle)  # others do not wait
            assert await status_of(market, auction) == "live"
        receipt = msgspec.json.decode((await queued).body, type=BidReceipt)
        await first
        assert receipt.outcome == "leading"
        assert end <= await closed_at(market, auction)
        await until(lambda: nothing_is_said(redis))
    row = await market.row(auction)
    assert (row["status"], row["leader_id"]) == ("sold", late.id)
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def nothing_is_said(redis):
    return await redis.hlen(KEY) == 0


async def test_a_bid_received_after_the_end_holds_nobody_up(market, redis, seller, ann, patient):
    busy = await market.new_auction(seller)
    end, auction, _ = await about_to_end(market, seller, ann)
    telling, closing = machinery(market, redis)
    async with running(telling):
        await until(lambda: now_instant() > end)
        async with held_up(market, busy):
            late = [market.bid(busy, ann, 20_00), market.bid(auction, ann, 30_00)]
            await until(lambda: is_said(redis, auction))
            async with running(closing):
                await closed_at(market, auction)
        results = await asyncio.gather(*late, return_exceptions=True)
    assert isinstance(results[1], AuctionNotLive)


async def is_said(redis, auction):
    return auction in await read_backlog(redis, BIDS, [auction], now_instant())


@pytest.mark.slow
async def test_a_queue_that_never_moves_ends_the_wait_after_a_second(market, redis, seller, ann):
    end = now_instant() + 2_000
    auction = await market.new_auction(seller, ends_at=moment(end))
    await redis.delete(KEY)
    store = BacklogStore(redis, "stuck", BIDS)

    async def tell():
        while True:
            await store.tell(now_instant(), end - 1, [auction])
            await asyncio.sleep(0.1)

    async with running(tell(), closer(market)):
        assert await closed_at(market, auction) >= end + CLOSE_WAIT_MAX_MS
    await store.clear()


async def test_what_dead_processes_said_is_forgotten(redis):
    mine, other = new_id(), new_id()
    await redis.delete(KEY)
    now_ms = now_instant()
    await BacklogStore(redis, "a", BIDS).tell(now_ms, now_ms - 30, [mine, other])
    await BacklogStore(redis, "b", BIDS).tell(now_ms, now_ms - 50, [mine])
    await BacklogStore(redis, "old", BIDS).tell(now_ms - 1_001, now_ms - 2_000, [mine])
    await BacklogStore(redis, "dead", BIDS).tell(now_ms - 60_001, now_ms - 70_000, [mine])
    assert await read_backlog(redis, BIDS, [mine], now_ms) == {mine: now_ms - 50}
    assert await read_backlog(redis, BIDS, [other, new_id()], now_ms) == {other: now_ms - 30}
    assert set(await redis.hkeys(KEY)) == {b"a", b"b", b"old"}
    await BacklogStore(redis, "many", BIDS).tell(now_ms, now_ms - 7, [new_id() for _ in range(2_001)])
    unknown = new_id()
    assert await read_backlog(redis, BIDS, [unknown], now_ms) == {unknown: now_ms - 7}
    await redis.delete(KEY)


async def test_a_backlog_is_kept_by_what_came_and_dropped_by_what_went(market, redis, seller, ann):
    """Auctions leave the report when their bids are settled, while others still wait."""
    first, second = [await market.new_auction(seller) for _ in range(2)]
    group = market.pipeline.groups["auctions.place_bid"]
    backlog = Backlog(group, BacklogStore(redis, "p1", BIDS), attrgetter("auction_id"))

    async def is_told(*auctions):
        now_ms = now_instant()
        await backlog.look(now_ms)
        return set(await read_backlog(redis, BIDS, [first, second], now_ms)) == set(auctions)

    async with held_up(market, second):
        async with held_up(market, first):
            held = [market.bid(first, ann, 20_00)]
            await until(lambda: is_told(first))
            held.append(market.bid(second, ann, 20_00))
            await until(lambda: is_told(first, second))
        await held[0]
        await until(lambda: is_told(second))
    await asyncio.gather(*held)
    await backlog.look(now_instant())
    assert await redis.hlen(KEY) == 0
