"""Dutch auctions through the pipeline: the price falls with the clock, the first to accept it buys, nobody else."""

import asyncio

import msgspec
import pytest

from handlers.auctions.rules import CLOSE_GRACE_MS
from protocols.auctions.refusals import AuctionNotLive, BidNotRetractable, BidTooLow, OwnAuction
from protocols.auctions.terms import SoftClose
from protocols.errors import InvalidInput
from protocols.values import new_id, now_instant, to_timestamp
from storage.auctions.lookups import read_ticker
from tests.integration.auctions.conftest import HOUR_MS, moment, new_caller
from tests.integration.auctions.replay import assert_audited, assert_replays

TERMS = {"format": "dutch", "dutch": {"floor_price": 4_00, "step": 1_50, "tick_s": 60}}
MINUTE_MS = 60_000


async def new_dutch(market, seller, **terms):
    """10.00, falling by 1.50 a minute to 4.00, for an hour; return its id and its start."""
    market.clock_ms = start = now_instant()
    auction = await market.new_auction(seller, **TERMS, **{"ends_at": moment(start + HOUR_MS), **terms})
    return auction, start


@pytest.mark.parametrize(
    ("terms", "pointer"),
    [
        ({"dutch": None}, "/dutch"),
        ({"dutch": {"floor_price": 10_00, "step": 1, "tick_s": 1}}, "/dutch/floor_price"),
        ({"reserve_price": 20_00}, "/reserve_price"),
        ({"buy_now_price": 20_00}, "/buy_now_price"),
        ({"soft_close": SoftClose()}, "/soft_close"),
        ({"increments": [(None, 5)]}, "/increments"),
    ],
)
async def test_terms_a_dutch_auction_cannot_have_are_refused(market, seller, terms, pointer):
    (listing,) = await market.new_listings(seller, 1)
    with pytest.raises(InvalidInput) as refused:
        await market.open(seller, listing, **{**TERMS, **terms})
    assert [error["pointer"] for error in refused.value.facts["errors"]] == [pointer]


async def test_the_view_shows_the_price_of_now_and_when_it_falls_next(market, seller):
    auction, start = await new_dutch(market, seller)
    versions = []
    for minutes, price, falls in [
        (0, 10_00, 1),
        (1, 8_50, 2),
        (3, 5_50, 4),
        (4, 4_00, None),
        (59, 4_00, None),
    ]:
        market.clock_ms = start + minutes * MINUTE_MS + 10
        seen = await market.call("get_auction", auction_id=auction)
        assert (seen.price, seen.minimum_bid, seen.status) == (price, price, "live")
        assert seen.next_price_at == (None if falls is None else to_timestamp(start + falls * MINUTE_MS))
        assert (seen.dutch.floor_price, seen.dutch.step, seen.dutch.tick_s) == (4_00, 1_50, 60)
        versions.append(seen.version)
        listed = await market.call("list_auctions", seller=seller.id)
        assert [item.price for item in listed.items] == [price]
    assert versions == [1, 2, 4, 5, 5]
    (opened,) = await market.auction_events(auction)
    assert opened["dutch"] == {"floor_price": 4_00, "step": 1_50, "tick_s": 60}


async def test_the_ticker_starts_from_the_price_of_now(market, seller):
    auction = await market.new_auction(
        seller,
        format="dutch",
        starting_price=9_007_199_254_740_991,
        dutch={"floor_price": 1, "step": 9_007_199_254_740_991, "tick_s": 1},
        ends_at=moment(now_instant() + 90 * 24 * HOUR_MS - 1_000),
    )
    await market.pool.execute(
        "UPDATE auctions SET starts_at_ms = starts_at_ms - 7776000000 WHERE auction_id = $1", auction
    )
    async with market.pool.acquire() as db:
        number, value = await read_ticker(db, auction)
    assert (number, value.price, value.minimum_bid, value.leader) == (1, 1, 1, None)


async def test_the_first_to_accept_buys_at_the_price_of_the_receipt(market, seller, ann, bob):
    auction, start = await new_dutch(market, seller)
    market.clock_ms = start + 2 * MINUTE_MS + 5
    with pytest.raises(BidTooLow) as refused:
        await market.bid_now(auction, ann, 6_99)
    assert refused.value.facts == {"minimum_bid": 7_00}
    with pytest.raises(OwnAuction):
        await market.bid_now(auction, seller, 9_00)
    receipt = await market.bid_now(auction, ann, 9_00)
    assert (receipt.outcome, receipt.price, receipt.offset) == ("won", 7_00, 2)
    with pytest.raises(AuctionNotLive):
        await market.bid_now(auction, bob, 9_00)
    with pytest.raises(AuctionNotLive):
        await market.call("buy_now", bob, auction_id=auction, key="k")
    _, placed, closed = await market.auction_events(auction)
    assert (placed["price"], placed["bid_count"], placed["leader"]) == (7_00, 1, placed["bidder"])
    assert (closed["outcome"], closed["price"], closed["winner"]) == ("sold", 7_00, placed["bidder"])
    assert [event["type"] for event in await market.personal_events(ann)] == ["auction_won"]
    assert [event["type"] for event in await market.personal_events(seller)] == ["auction_sold"]
    with pytest.raises(AuctionNotLive):
        await market.call("retract_bid", ann, auction_id=auction, bid_id=receipt.bid_id)
    market.clock_ms = start + 2 * HOUR_MS
    await market.run_timers()
    assert len(await market.auction_events(auction)) == 3
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_buy_now_accepts_the_price_of_now(market, seller, ann):
    auction, start = await new_dutch(market, seller)
    with pytest.raises(BidNotRetractable):
        await market.call("retract_bid", ann, auction_id=auction, bid_id=new_id())
    market.clock_ms = start + MINUTE_MS
    receipt = await market.call("buy_now", ann, auction_id=auction, key="k")
    assert (receipt.outcome, receipt.price) == ("won", 8_50)
    assert (await market.call("list_bids", auction_id=auction)).items[0].price == 8_50
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_a_hundred_concurrent_accepts_make_exactly_one_winner(market, seller):
    auction, start = await new_dutch(market, seller)
    market.clock_ms = start + MINUTE_MS
    callers = [new_caller() for _ in range(100)]
    bids = [market.bid(auction, caller, 10_00) for caller in callers[:90]]
    purchases = [
        market.call("buy_now", caller, auction_id=auction, key=str(new_id())) for caller in callers[90:]
    ]
    results = await asyncio.gather(*bids, *purchases, return_exceptions=True)
    won = [result for result in results if not isinstance(result, AuctionNotLive)]
    assert len(won) == 1
    assert not isinstance(won[0], BaseException)
    assert await market.pool.fetchval("SELECT count(*) FROM bids WHERE auction_id = $1", auction) == 1
    kinds = [event["type"] for event in await market.auction_events(auction)]
    assert kinds == ["auction_opened", "bid_placed", "auction_closed"]
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_without_a_buyer_it_ends_unsold_at_the_price_it_fell_to(market, seller):
    auction, start = await new_dutch(market, seller, ends_at=moment(now_instant() + 3 * MINUTE_MS))
    end = (await market.row(auction))["ends_at_ms"]
    market.clock_ms = end + CLOSE_GRACE_MS
    last = (await market.call("get_auction", auction_id=auction)).version
    await market.run_timers()
    closed = (await market.auction_events(auction))[-1]
    assert (closed["outcome"], closed["winner"], closed["bid_count"]) == ("unsold", None, 0)
    seen = await market.call("get_auction", auction_id=auction)
    assert (seen.status, seen.price, seen.next_price_at) == ("unsold", closed["price"], None)
    assert seen.version > last
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])
    assert start < end


async def test_cancelled_and_scheduled_ones_replay_too(market, seller, ann):
    market.clock_ms = start = now_instant()
    planned = await market.new_auction(
        seller,
        **TERMS,
        starts_at=moment(start + MINUTE_MS),
        ends_at=moment(start + HOUR_MS),
    )
    assert (await market.call("get_auction", auction_id=planned)).price == 10_00
    dropped = await market.new_auction(
        seller, **TERMS, starts_at=moment(start + MINUTE_MS), ends_at=moment(start + HOUR_MS)
    )
    await market.call("cancel_auction", seller, auction_id=dropped)
    market.clock_ms = start + MINUTE_MS
    await market.run_timers()
    with pytest.raises(BidTooLow):
        await market.bid_now(planned, ann, 9_99)
    market.clock_ms += 61_000
    shown = await market.call("cancel_auction", seller, auction_id=planned)
    assert (shown.status, shown.price) == ("cancelled", 8_50)
    assert await assert_replays(market.pool, [planned, dropped]) == 2
    await assert_audited(market, [planned, dropped])
    assert msgspec.json.encode(shown)
