"""Random auctions through the real handlers, a thousand in the second tier: each live row equals the replay of its log,
byte for byte.
"""

import asyncio
import random
from collections import Counter

import msgspec
import pytest

from protocols.auctions.refusals import (
    AuctionNotCancellable,
    AuctionNotLive,
    BidNotRetractable,
    BidTooHigh,
    BidTooLow,
    BuyNowUnavailable,
    UnitsReduced,
)
from protocols.auctions.terms import SoftClose
from protocols.errors import Refusal
from protocols.values import now_instant
from tests.integration.auctions.conftest import HOUR_MS, moment, new_caller
from tests.integration.auctions.replay import assert_audited, assert_replays

MINUTE_MS = 60_000
PAUSES_MS = [n * MINUTE_MS for n in (0, 1, 1, 20, 10, 10, 10, 60, 60, 30, 480, 60, 120, 60)]
"""Between rounds of bids; the ends of auctions fall between them."""
EXPECTED = (
    AuctionNotCancellable,
    AuctionNotLive,
    BidNotRetractable,
    BidTooHigh,
    BidTooLow,
    BuyNowUnavailable,
    UnitsReduced,
)


@pytest.mark.parametrize("count", [150, pytest.param(1_000, marks=pytest.mark.slow)])
async def test_random_auctions_equal_the_replay_of_their_events(market, count):
    dice = random.Random(20_261_122)
    seller, bidders = new_caller(), [new_caller() for _ in range(40)]
    started = market.clock_ms = now_instant()
    auctions = await open_auctions(market, seller, dice, started, count)
    levels = dict.fromkeys(auctions, 10_00)
    receipts = []
    for pause_ms in PAUSES_MS:
        market.clock_ms += pause_ms
        await market.run_timers()
        bids = []
        for auction in auctions:
            levels[auction] += dice.choice([0, 25, 50, 100, 500])
            bids.append((auction, dice.choice(bidders), levels[auction] + dice.choice([0, 0, 75, 3_000])))
        answers = await settle(market.bid(*bid) for bid in bids)
        receipts += [
            (auction, who, answer) for (auction, who, _), answer in zip(bids, answers, strict=True) if answer
        ]
        await settle(rare_commands(market, dice, seller, bidders, auctions, receipts))
    market.clock_ms += 200 * HOUR_MS
    await market.run_timers()
    assert await assert_replays(market.pool, auctions) == count
    await assert_audited(market, auctions)
    await assert_variety(market, auctions)


async def test_prices_after_retractions_follow_from_the_whole_log(market):
    """Few bidders who bid often and take it back often: each retraction equals the replay of all bids that stand."""
    dice = random.Random(5)
    seller, bidders = new_caller(), [new_caller() for _ in range(4)]
    auctions = [await market.new_auction(seller, reserve_price=dice.choice([None, 30_00])) for _ in range(60)]
    levels, receipts = dict.fromkeys(auctions, 10_00), {auction: [] for auction in auctions}
    for _ in range(25):
        bids = []
        for auction in auctions:
            levels[auction] += dice.choice([-300, 0, 25, 50, 100])
            bids.append(
                (auction, dice.choice(bidders), max(1, levels[auction]) + dice.choice([0, 1, 75, 3_000]))
            )
        for (auction, who, _), answer in zip(bids, await settle(market.bid(*b) for b in bids), strict=True):
            if answer:
                receipts[auction].append((who, answer["bid_id"]))
        chosen = [
            (auction, *dice.choice(receipts[auction]))
            for auction in dice.sample(auctions, 12)
            if receipts[auction]
        ]
        await settle(market.call("retract_bid", who, auction_id=a, bid_id=bid) for a, who, bid in chosen)
    assert await assert_replays(market.pool, auctions) == len(auctions)
    await assert_audited(market, auctions)
    gone = await market.pool.fetchval(
        "SELECT count(*) FROM bid_retractions WHERE auction_id = ANY($1)", auctions
    )
    assert gone > 150


async def open_auctions(market, seller, dice, now, count):
    listings = await market.new_listings(seller, count)
    made = []
    for listing in listings:
        terms = {
            "reserve_price": dice.choice([None, 12_00, 40_00]),
            "buy_now_price": dice.choice([None, 30_00]),
            "ends_at": moment(now + dice.choice([45 * MINUTE_MS, 3 * HOUR_MS, 14 * HOUR_MS, 100 * HOUR_MS])),
            "soft_close": dice.choice([None, SoftClose(window_s=1800, extend_s=1800, max_extensions=3)]),
            "increments": dice.choice(["default", [(20_00, 30), (None, 200)]]),
            "starts_at": dice.choice([None, None, moment(now + 90_000)]),
        }
        made.append(market.open(seller, listing, **terms))
    return [auction.id for auction in await gather_few(made)]


def rare_commands(market, dice, seller, bidders, auctions, receipts):
    """Some retractions by those who bid, some purchases, some cancellations, all racing each other."""
    for auction, who, receipt in dice.sample(receipts, min(40, len(receipts))):
        yield market.call("retract_bid", who, auction_id=auction, bid_id=receipt["bid_id"])
    for auction in dice.sample(auctions, 8):
        yield market.call("buy_now", dice.choice(bidders), auction_id=auction, key=str(dice.random()))
    for auction in dice.sample(auctions, 4):
        yield market.call("cancel_auction", seller, auction_id=auction)


async def settle(work):
    """Return the decoded answers, None for an expected refusal; anything else is a failure."""
    results = await gather_few(work)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, EXPECTED):
            raise result
    return [
        None if isinstance(r, Refusal) else msgspec.json.decode(r.body) if hasattr(r, "body") else r
        for r in results
    ]


async def gather_few(work):
    """Gather at most a few coroutines at a time: each needs a connection. Futures of submitted bids go as one."""
    work = list(work)
    results = []
    width = 8 if work and asyncio.iscoroutine(work[0]) else len(work) or 1
    for place in range(0, len(work), width):
        results += await asyncio.gather(*work[place : place + width], return_exceptions=True)
    return results


async def assert_variety(market, auctions):
    """The dice reached every kind of event and of ending; otherwise this test would prove little."""
    streams = [f"auctions:{auction}" for auction in auctions]
    rows = await market.pool.fetch(
        "SELECT type, count(*) FROM events WHERE stream = ANY($1) GROUP BY type", streams
    )
    kinds = Counter(dict(rows))
    count = len(auctions)
    assert kinds["bid_placed"] > 3 * count
    assert kinds["auction_opened"] == kinds["auction_closed"] == count
    assert min(kinds[kind] for kind in ("auction_started", "auction_extended", "bid_retracted")) > count // 50
    rows = await market.pool.fetch(
        "SELECT status, count(*) FROM auctions WHERE auction_id = ANY($1) GROUP BY status", auctions
    )
    assert {status for status, _ in rows} == {"sold", "unsold", "cancelled"}
    bought = await market.pool.fetchval(
        "SELECT count(*) FROM bids WHERE bought AND auction_id = ANY($1)", auctions
    )
    assert bought > count // 200
