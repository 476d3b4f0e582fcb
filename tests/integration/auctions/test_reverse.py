"""Reverse auctions through the pipeline: travellers bid down, limits stay secret, the audit checks everything."""

import random

import pytest

from protocols.auctions.refusals import (
    AuctionNotLive,
    BidTooHigh,
    BuyNowUnavailable,
    OwnAuction,
    TooManyUnits,
)
from protocols.auctions.terms import SoftClose
from protocols.errors import InvalidInput
from protocols.values import now_instant
from storage.auctions.lookups import read_ticker
from tests.integration.auctions.conftest import HOUR_MS, moment, new_caller
from tests.integration.auctions.replay import assert_audited, assert_replays, read_audit
from tests.integration.auctions.test_audit import assert_every_change_is_found, audit, header_changes
from tests.integration.auctions.test_replay import settle
from tests.integration.auctions.test_sealed import close

REVERSE = {"format": "reverse", "starting_price": 50_00}


async def test_travellers_bid_down_and_the_lowest_gets_the_job(market, seller, ann, bob):
    auction = await market.new_auction(seller, **REVERSE, reserve_price=40_00)
    seen = await market.call("get_auction", auction_id=auction)
    assert (seen.price, seen.minimum_bid, seen.maximum_bid, seen.reserve_met) == (50_00, 50_00, 50_00, False)
    first = await market.bid_now(auction, ann, 45_00)
    assert (first.outcome, first.price, first.minimum_bid) == ("leading", 50_00, 49_00)
    with pytest.raises(BidTooHigh) as refused:
        await market.bid_now(auction, bob, 49_01)
    assert (refused.value.code, refused.value.facts) == ("bid_too_high", {"maximum_bid": 49_00})
    with pytest.raises(BidTooHigh) as refused:
        await market.bid_now(auction, ann, 45_00)
    assert refused.value.facts == {"maximum_bid": 44_99}
    with pytest.raises(OwnAuction):
        await market.bid_now(auction, seller, 10_00)
    second = await market.bid_now(auction, bob, 30_00)
    assert (second.outcome, second.price, second.minimum_bid) == ("leading", 40_00, 39_00), "at the reserve"
    assert await market.personal_events(ann) == [
        {
            "type": "outbid",
            "at": (await market.personal_events(ann))[0]["at"],
            "auction_id": str(auction),
            "title": "A thing",
            "currency": "EUR",
            "price": 40_00,
            "minimum_bid": 39_00,
        }
    ]
    seen = await market.call("get_auction", bob, auction_id=auction)
    assert (seen.you_lead, seen.your_maximum, seen.your_units, seen.reserve_met) == (True, 30_00, 1, True)
    hidden = await market.call("get_auction", ann, auction_id=auction)
    assert (hidden.you_lead, hidden.your_maximum, hidden.maximum_bid) == (False, None, 39_00)
    assert (await market.bid_now(auction, ann, 35_00)).price == 34_00
    async with market.pool.acquire() as db:
        _, value = await read_ticker(db, auction)
    assert (value.price, value.minimum_bid, value.reserve_met) == (34_00, 33_00, True)
    await close(market, auction)
    closed = (await market.auction_events(auction))[-1]
    assert (closed["outcome"], closed["price"], closed["bid_count"]) == ("sold", 34_00, 3)
    won = (await market.personal_events(bob))[-1]
    assert (won["type"], won["price"]) == ("auction_won", 34_00)
    assert [event["type"] for event in await market.personal_events(ann)] == ["outbid", "auction_lost"]
    assert (await market.personal_events(seller))[-1]["buyer_id"] == str(bob.id)
    with pytest.raises(AuctionNotLive):
        await market.bid_now(auction, ann, 1_00)
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_a_reserve_that_nobody_reaches_leaves_it_unsold(market, seller, ann, bob):
    auction = await market.new_auction(seller, **REVERSE, reserve_price=20_00)
    await market.bid_now(auction, ann, 30_00)
    assert (await market.bid_now(auction, bob, 20_01)).price == 29_00
    async with market.pool.acquire() as db:
        assert (await read_ticker(db, auction))[1].reserve_met is False
    await close(market, auction)
    assert (await market.row(auction))["status"] == "unsold"
    told, _ = await read_audit(market, auction)
    assert (told.has_reserve, told.reserve_price) == (True, None)
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_below_the_last_step_nobody_can_ask_for_less(market, seller, ann, bob):
    auction = await market.new_auction(seller, format="reverse", starting_price=10)
    await market.bid_now(auction, ann, 1)
    assert (await market.bid_now(auction, bob, 5)).minimum_bid == 0
    assert (await market.call("get_auction", auction_id=auction)).maximum_bid == 0
    for who in (ann, bob):
        with pytest.raises(BidTooHigh, match="Nobody can ask for less"):
            await market.bid_now(auction, who, 1)
    await close(market, auction)
    assert (await market.row(auction))["price"] == 1
    await assert_audited(market, [auction])


@pytest.mark.parametrize(
    ("terms", "pointer"),
    [
        ({"reserve_price": 50_01}, "/reserve_price"),
        ({"buy_now_price": 40_00}, "/buy_now_price"),
        ({"quantity": 2}, "/quantity"),
        ({"dutch": {"floor_price": 1, "step": 1, "tick_s": 1}}, "/dutch"),
    ],
)
async def test_terms_a_reverse_auction_cannot_have_are_refused(market, seller, terms, pointer):
    (listing,) = await market.new_listings(seller, 1)
    await market.pool.execute("UPDATE listings SET quantity = 5 WHERE listing_id = $1", listing)
    with pytest.raises(InvalidInput) as refused:
        await market.open(seller, listing, **{**REVERSE, **terms})
    assert pointer in [error["pointer"] for error in refused.value.facts["errors"]]


async def test_a_taken_back_bid_lets_the_price_rise_again(market, seller, ann, bob):
    auction = await market.new_auction(seller, **REVERSE)
    await market.bid_now(auction, ann, 40_00)
    gone = await market.bid_now(auction, bob, 20_00)
    eve = new_caller()
    await market.bid_now(auction, eve, 30_00)
    shown = await market.call("retract_bid", bob, auction_id=auction, bid_id=gone.bid_id)
    assert (shown.price, shown.minimum_bid, shown.bid_count) == (39_00, 38_00, 2)
    assert [event["type"] for event in await market.personal_events(eve)] == ["leading_again"]
    with pytest.raises(BuyNowUnavailable):
        await market.call("buy_now", ann, auction_id=auction, key="k")
    with pytest.raises(TooManyUnits):
        await market.call("place_bid", ann, auction_id=auction, amount=1_00, quantity=2, key="q")
    cancelled = await market.call("cancel_auction", seller, auction_id=auction)
    assert cancelled.status == "cancelled"
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def played(market, seller, ann, bob):
    market.clock_ms = start = now_instant()
    auction = await market.new_auction(
        seller,
        **REVERSE,
        reserve_price=35_00,
        ends_at=moment(start + HOUR_MS),
        soft_close=SoftClose(window_s=1800, extend_s=1800, max_extensions=3),
    )
    await market.bid_now(auction, ann, 45_00)
    await market.bid_now(auction, bob, 42_00)
    market.clock_ms = start + HOUR_MS - 60_000
    taken_back = await market.bid_now(auction, ann, 41_00)
    await market.bid_now(auction, bob, 20_00)
    await market.call("retract_bid", ann, auction_id=auction, bid_id=taken_back.bid_id)
    await close(market, auction)
    return auction


async def test_a_change_of_any_number_in_its_audit_is_found(market, seller, ann, bob):
    auction = await played(market, seller, ann, bob)
    told, events = await read_audit(market, auction)
    assert audit(told, events).faults == []
    kinds = {event.data["type"] for event in events}
    assert {"auction_extended", "bid_retracted", "auction_closed"} < kinds
    assert_every_change_is_found(told, events, may_pass={"bid_id", "listing_id", "seller_id", "reserve_met"})
    for what, header, changed in header_changes(told, events):
        assert audit(header, changed).faults, what


async def test_random_reverse_auctions_equal_the_replay_of_their_events(market):
    """Few bidders who bid often and take it back often; soft closes, groups and own tables among them."""
    dice = random.Random(11)
    seller, bidders = new_caller(), [new_caller() for _ in range(4)]
    market.clock_ms = start = now_instant()
    group = str(seller.id)
    auctions = []
    for _ in range(60):
        soft = dice.choice([None, SoftClose(window_s=1800, extend_s=1800, max_extensions=3)])
        auctions.append(
            await market.new_auction(
                seller,
                format="reverse",
                starting_price=100_00,
                reserve_price=dice.choice([None, 80_00, 100_00]),
                soft_close=soft,
                group_id=group if soft and dice.random() < 0.3 else None,
                ends_at=moment(start + dice.choice([2, 20, 30]) * HOUR_MS),
                increments=dice.choice(["default", [(90_00, 30), (None, 200)], [(90_00, 200), (None, 30)]]),
            )
        )
    levels, receipts = dict.fromkeys(auctions, 100_00), []
    for _ in range(25):
        market.clock_ms += 5 * 60_000
        bids = []
        for auction in auctions:
            levels[auction] = max(1, levels[auction] - dice.choice([-300, 0, 25, 50, 100, 200]))
            amount = max(1, levels[auction] - dice.choice([0, 1, 75, 3_000]))
            bids.append((auction, dice.choice(bidders), amount))
        for (auction, who, _), answer in zip(bids, await settle(market.bid(*b) for b in bids), strict=True):
            if answer:
                receipts.append((auction, who, answer["bid_id"]))
        chosen = dice.sample(receipts, min(12, len(receipts)))
        await settle(market.call("retract_bid", who, auction_id=a, bid_id=bid) for a, who, bid in chosen)
    await close(market, *auctions)
    assert await assert_replays(market.pool, auctions) == 60
    await assert_audited(market, auctions)
    gone = await market.pool.fetchval(
        "SELECT count(*) FROM bid_retractions WHERE auction_id = ANY($1)", auctions
    )
    assert gone > 100
