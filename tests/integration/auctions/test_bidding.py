"""Bids through the pipeline on real PostgreSQL: what is answered, stored, published and told."""

import asyncio
import random

import msgspec
import pytest

from handlers.auctions import ROUTES
from handlers.auctions.locking import mask_bidder
from handlers.auctions.rules import CLOSE_GRACE_MS
from handlers.contract import Call
from protocols.auctions.commands import BidReceipt, PlaceBid
from protocols.auctions.refusals import AuctionNotFound, AuctionNotLive, BidTooHigh, BidTooLow, OwnAuction
from protocols.auctions.terms import SoftClose
from protocols.errors import KeyRequired, Refusal, Unauthenticated
from protocols.values import new_id
from server.commands.idempotency import Answer
from server.commands.pipeline import Pipeline
from storage.auctions.lookups import read_auction_facts, read_ticker
from storage.engines.postgres import open_database
from tests.integration.auctions.conftest import ANONYMOUS, BY_VERB, HOUR_MS, Market, moment, new_caller
from tests.integration.auctions.replay import assert_audited, assert_replays


async def test_a_bid_is_answered_stored_published_and_shown(market, seller, ann):
    auction = await market.new_auction(seller)
    receipt = await market.bid_now(auction, ann, 50_00)
    assert (receipt.outcome, receipt.offset, receipt.price, receipt.minimum_bid) == ("leading", 2, 1000, 1050)
    opened, placed = await market.auction_events(auction)
    assert (opened["type"], opened["status"], placed["type"]) == ("auction_opened", "live", "bid_placed")
    row = await market.row(auction)
    assert placed | {"at": ""} == {
        "type": "bid_placed",
        "at": "",
        "bid_id": str(receipt.bid_id),
        "bidder": row["leader_mask"],
        "price": 10_00,
        "minimum_bid": 10_50,
        "leader": row["leader_mask"],
        "bid_count": 1,
        "reserve_met": True,
        "ends_at": receipt.ends_at,
    }
    ((number, ticker),) = market.tickers(auction)
    assert (number, ticker["price"], ticker["bid_count"]) == (2, 10_00, 1)
    seen = await market.call("get_auction", auction_id=auction)
    assert (seen.price, seen.minimum_bid, seen.bid_count, seen.leader) == (1000, 1050, 1, row["leader_mask"])
    assert (seen.version, seen.position.channel, seen.position.offset) == (2, f"auctions:{auction}", 2)


async def test_the_hidden_maximum_is_shown_to_nobody_but_its_bidder(market, seller, ann, bob):
    auction = await market.new_auction(seller)
    secret = 7_777_77
    receipt = await market.bid_now(auction, ann, secret)
    await market.bid_now(auction, bob, 20_00)
    for viewer in (ANONYMOUS, bob, seller):
        seen = await market.call("get_auction", viewer, auction_id=auction)
        bids = await market.call("list_bids", viewer, auction_id=auction)
        assert str(secret) not in msgspec.json.encode([seen, bids]).decode()
    texts = await market.pool.fetch("SELECT data FROM events WHERE data::text LIKE $1", f"%{secret}%")
    assert texts == []
    own = await market.call("get_auction", ann, auction_id=auction)
    assert (own.you_lead, own.your_maximum) == (True, secret)
    (mine,) = [
        bid for bid in (await market.call("list_bids", ann, auction_id=auction)).items if bid.your_maximum
    ]
    assert (mine.bid_id, mine.your_maximum) == (receipt.bid_id, secret)


async def test_a_bidder_has_one_mask_per_auction_and_another_in_the_next(market, seller, ann, bob):
    first, second = await market.new_auction(seller), await market.new_auction(seller)
    for auction in (first, second):
        await market.bid_now(auction, ann, 20_00)
        await market.bid_now(auction, bob, 30_00)
        await market.bid_now(auction, ann, 40_00)
    masks = [
        [bid.bidder for bid in (await market.call("list_bids", auction_id=auction)).items]
        for auction in (first, second)
    ]
    assert [a == c != b for a, b, c in masks] == [True, True]
    assert not set(masks[0]) & set(masks[1])
    row = await market.row(first)
    assert masks[0][0] == mask_bidder(row["mask_salt"], ann.id)


async def test_the_displaced_leader_is_told_once_per_batch_and_only_when_not_leading_after_it(
    market, seller, ann, bob
):
    auction = await market.new_auction(seller)
    cat = new_caller()
    bids = [(ann, 20_00), (bob, 30_00), (ann, 40_00), (bob, 50_00), (cat, 60_00), (bob, 70_00)]
    answers = await asyncio.gather(*(market.bid(auction, who, amount) for who, amount in bids))
    assert {answer.status for answer in answers} == {201}
    state = await market.row(auction)
    for loser in (ann, cat):
        (told,) = await market.personal_events(loser)
        assert (told["type"], told["auction_id"]) == ("outbid", str(auction))
        assert (told["price"], told["minimum_bid"]) == (state["price"], state["minimum_bid"])
    assert await market.personal_events(bob) == []
    assert [number for number, _ in market.tickers(auction)] == [state["event_number"]]


async def test_of_two_equal_concurrent_bids_the_first_in_event_order_leads(market, seller, ann, bob):
    auction = await market.new_auction(seller)
    answers = await asyncio.gather(market.bid(auction, ann, 50_00), market.bid(auction, bob, 50_00))
    receipts = sorted(
        (msgspec.json.decode(answer.body, type=BidReceipt) for answer in answers), key=lambda r: r.offset
    )
    assert [receipt.outcome for receipt in receipts] == ["leading", "outbid"]
    first = await market.pool.fetchval(
        "SELECT bidder_id FROM bids WHERE auction_id = $1 AND number = 2", auction
    )
    row = await market.row(auction)
    assert (row["leader_id"], row["price"], row["minimum_bid"]) == (first, 50_00, 51_00)


async def test_one_key_used_twice_at_once_counts_once(market, seller, ann):
    auction = await market.new_auction(seller)
    answers = await asyncio.gather(*(market.bid(auction, ann, 50_00, "same") for _ in range(5)))
    assert len({answer.body for answer in answers}) == 1
    assert sorted(answer.replayed for answer in answers) == [False, True, True, True, True]
    assert (await market.bid(auction, ann, 50_00, "same")).replayed
    assert (await market.row(auction))["bid_count"] == 1
    assert len(await market.auction_events(auction)) == 2


async def test_a_batch_with_every_refusal_answers_each_and_harms_no_other(market, seller, ann, bob):
    auction, ended = await market.new_auction(seller), await market.new_auction(seller)
    await market.call("cancel_auction", seller, auction_id=ended)
    batch = [
        (auction, ann, 50_00),
        (auction, bob, 10_49),
        (auction, ann, 50_00),
        (auction, seller, 90_00),
        (ended, ann, 50_00),
        (new_id(), ann, 50_00),
        (auction, bob, 30_00),
    ]
    before = await market.pool.fetchval("SELECT count(*) FROM idempotency")
    answers = await asyncio.gather(*(market.bid(*one) for one in batch), return_exceptions=True)
    kinds = [type(answer) for answer in answers]
    assert kinds == [Answer, BidTooLow, BidTooLow, OwnAuction, AuctionNotLive, AuctionNotFound, Answer]
    assert (answers[1].facts, answers[2].facts) == ({"minimum_bid": 10_50}, {"minimum_bid": 50_01})
    assert len(await market.auction_events(auction)) == 3
    assert len(await market.auction_events(ended)) == 2
    bids = await market.pool.fetchval(
        "SELECT count(*) FROM bids WHERE auction_id = ANY($1)", [auction, ended]
    )
    assert bids == 2
    assert await market.pool.fetchval("SELECT count(*) FROM idempotency") == before + 2
    assert [event["type"] for event in await market.personal_events(seller)] == ["first_bid_placed"]


async def test_no_answer_or_event_tells_an_amount_past_the_largest(market, seller, ann, bob):
    top = 2**53 - 1
    auction = await market.new_auction(seller, starting_price=top - 10)
    first = await market.bid_now(auction, ann, top)
    assert (first.price, first.minimum_bid) == (top - 10, top)
    second = await market.bid_now(auction, bob, top)
    assert (second.outcome, second.price, second.minimum_bid) == ("outbid", top, top)
    for caller in (ann, bob, new_caller()):
        with pytest.raises(BidTooLow) as refused:
            await market.bid_now(auction, caller, top)
        assert refused.value.facts == {"minimum_bid": top}
    told = [event["minimum_bid"] for event in (await market.auction_events(auction))[1:]]
    assert told == [top, top]
    assert [ticker["minimum_bid"] for _, ticker in market.tickers(auction)] == [top, top]
    assert (await market.call("get_auction", auction_id=auction)).minimum_bid == top
    await assert_replays(market.pool, [auction])
    await assert_audited(market, [auction])


@pytest.mark.parametrize("amount", [0, -1, 2**53, 10**40, 1.5, "50", None, True])
async def test_an_absurd_amount_is_no_command(market, ann, amount):
    with pytest.raises(msgspec.ValidationError):
        await market.call("place_bid", ann, auction_id=str(new_id()), amount=amount, key="k")


async def test_a_bid_needs_a_user_and_a_key(market, seller, ann):
    auction = await market.new_auction(seller)
    with pytest.raises(Unauthenticated):
        await market.call("place_bid", auction_id=auction, amount=50_00, key="k")
    with pytest.raises(KeyRequired):
        await market.call("place_bid", ann, auction_id=auction, amount=50_00)


async def test_five_hundred_concurrent_bidders_end_in_the_state_their_events_replay_to(market, seller):
    auction = await market.new_auction(
        seller,
        reserve_price=900_00,
        ends_at=moment(market.now_ms() + 100_000),
        soft_close=SoftClose(window_s=120, extend_s=150, max_extensions=100),
    )
    dice = random.Random(7)
    bidders = [new_caller() for _ in range(500)]
    bids = [(dice.choice(bidders), 10_00 + place * 500 + dice.randrange(50_00)) for place in range(2_000)]
    answers = await asyncio.gather(
        *(market.bid(auction, who, amount) for who, amount in bids), return_exceptions=True
    )
    taken = [answer for answer in answers if isinstance(answer, Answer)]
    assert {type(answer) for answer in answers} == {Answer, BidTooLow}
    row = await market.row(auction)
    assert row["bid_count"] == len(taken) > 200
    leader, top = max(
        ((who, amount) for (who, amount), answer in zip(bids, answers, strict=True) if answer in taken),
        key=lambda pair: pair[1],
    )
    assert (row["leader_id"], row["leader_max"]) == (leader.id, top)
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])
    prices = [event["price"] for event in await market.auction_events(auction) if "price" in event]
    assert prices == sorted(prices)


async def test_a_late_bid_extends_the_auction_and_says_so(market, seller, ann, bob):
    end = market.now_ms() + 60_000
    soft = SoftClose(window_s=30, extend_s=60, max_extensions=1)
    auction = await market.new_auction(seller, ends_at=moment(end), soft_close=soft)
    market.clock_ms = end - 30_001
    await market.bid_now(auction, ann, 20_00)
    market.clock_ms = end - 30_000
    receipt = await market.bid_now(auction, bob, 30_00)
    events = await market.auction_events(auction)
    assert [e["type"] for e in events] == ["auction_opened", "bid_placed", "bid_placed", "auction_extended"]
    assert receipt.offset == 3
    assert receipt.ends_at == events[2]["ends_at"] == events[3]["ends_at"]
    assert (await market.row(auction))["ends_at_ms"] == end + 30_000
    market.clock_ms = end + 29_999
    await market.bid_now(auction, ann, 40_00)
    assert (await market.row(auction))["ends_at_ms"] == end + 30_000
    market.clock_ms = end + 30_000
    with pytest.raises(AuctionNotLive):
        await market.bid_now(auction, bob, 90_00)
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_a_bid_is_judged_by_its_receipt_not_by_its_commit(market, seller, ann):
    """The batch may commit after the end; what the server received before it counts."""
    end = market.now_ms() + 60_000
    auction = await market.new_auction(seller, ends_at=moment(end))
    route = BY_VERB["place_bid"]
    market.clock_ms = end + 5
    calls = [Call(PlaceBid(auction_id=auction, amount=50_00, key=f"k{at}"), ann, at) for at in (end - 1, end)]
    early, late = await market.pipeline._committer(route)(calls)
    assert isinstance(early, Answer)
    assert isinstance(late, AuctionNotLive)


async def test_lookups_show_the_newest_ticker_and_the_winner(market, seller, ann):
    end = market.now_ms() + HOUR_MS
    auction = await market.new_auction(seller, ends_at=moment(end), reserve_price=40_00)
    receipt = await market.bid_now(auction, ann, 39_00)
    async with market.pool.acquire() as db:
        number, ticker = await read_ticker(db, auction)
        assert (number, ticker.price, ticker.reserve_met) == (receipt.offset, 10_00, False)
        assert (ticker.ends_at, ticker.bid_count) == (receipt.ends_at, 1)
        assert (await read_auction_facts(db, auction)).winner_id is None
        await market.bid_now(auction, ann, 40_00)
        assert (await read_ticker(db, auction))[1].price == 40_00
        market.clock_ms = end + CLOSE_GRACE_MS
        await market.run_timers()
        facts = await read_auction_facts(db, auction)
        assert (facts.status, facts.winner_id, facts.price) == ("sold", ann.id, 40_00)
        assert await read_ticker(db, new_id()) is None
        assert await read_auction_facts(db, new_id()) is None


async def test_two_processes_bidding_on_one_auction_share_one_order(market, database, redis, seller):
    auction = await market.new_auction(seller)
    opened = await open_database(database)
    second = Pipeline(opened, redis, "epoch", lambda _: None, ROUTES)
    second.start()
    other = Market(second, market.pool, [])
    bids = [(market, other)[n % 2].bid(auction, new_caller(), 20_00 + 1_000 * n, f"k{n}") for n in range(600)]
    answers = await asyncio.gather(*bids, return_exceptions=True)
    await second.close()
    await opened.close()
    assert {type(answer) for answer in answers} <= {Answer, BidTooLow}
    taken = sum(isinstance(answer, Answer) for answer in answers)
    assert len(await market.auction_events(auction)) == taken + 1
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_refusals_of_place_bid_are_declared(market):
    declared = BY_VERB["place_bid"].refusals
    assert all(issubclass(refusal, Refusal) for refusal in declared)
    assert {AuctionNotFound, AuctionNotLive, BidTooHigh, BidTooLow, OwnAuction} <= set(declared)
