"""An auction's page: one statement, one snapshot, the same as the separate reads, nobody's secrets."""

import asyncio
from itertools import pairwise

import msgspec
import pytest

from handlers.auctions.reading.get_page import BIDS_SHOWN
from handlers.auctions.rules import CLOSE_GRACE_MS
from handlers.auctions.watching.viewers import ANSWER_MS
from protocols.auctions.refusals import AuctionNotFound
from protocols.errors import TemporarilyUnavailable
from protocols.values import new_id, now_instant, to_json
from storage.auctions.page_postgres import _sql
from storage.platform.viewer_counts_redis import RedisViewerCounts
from tests.integration.auctions.conftest import HOUR_MS, moment, new_caller


async def sign_up(market, caller, name: str, at_ms: int) -> None:
    await market.pool.execute(
        "INSERT INTO users (user_id, email, password_hash, display_name, created_at_ms) VALUES ($1, $2, '', $3, $4)",
        caller.id,
        f"{caller.id}@example.test",
        name,
        at_ms,
    )


async def assert_same_as_separate_reads(market, auction, caller):
    market.clock_ms = market.now_ms()
    page = await market.call("get_page", caller, auction_id=auction)
    assert page.auction == await market.call("get_auction", caller, auction_id=auction)
    assert page.bids == (await market.call("list_bids", caller, auction_id=auction, limit=BIDS_SHOWN)).items
    assert (page.position, page.server_time) == (page.auction.position, page.auction.server_time)
    return page


@pytest.mark.parametrize(
    ("terms", "quantity"),
    [
        ({"reserve_price": 25_00, "buy_now_price": 900_00}, None),
        ({"format": "sealed_second_price"}, None),
        ({"format": "reverse", "starting_price": 1_000_00}, None),
        ({"quantity": 3}, 2),
    ],
    ids=["english", "sealed", "reverse", "units"],
)
async def test_the_page_says_what_the_separate_reads_say(market, seller, ann, bob, terms, quantity):
    await sign_up(market, seller, "Sally", 1_700_000_000_000)
    end = now_instant() + HOUR_MS
    (listing,) = await market.new_listings(seller, 1)
    await market.pool.execute("UPDATE listings SET quantity = 3 WHERE listing_id = $1", listing)
    auction = (await market.open(seller, listing, ends_at=moment(end), **terms)).id
    amounts = (90_00, 80_00, 70_00) if terms.get("format") == "reverse" else (30_00, 40_00, 50_00)
    for who, amount in zip((ann, bob, ann), amounts, strict=True):
        await market.call(
            "place_bid",
            who,
            auction_id=auction,
            amount=amount,
            key=str(new_id()),
            **({"quantity": quantity} if quantity else {}),
        )
    for who in (seller, ann, bob, new_caller()):
        page = await assert_same_as_separate_reads(market, auction, who)
        assert page.seller.display_name == "Sally"
        assert page.seller.since == "2023-11-14T22:13:20.000Z"
        assert (page.listing.title, page.listing.attributes) == ("A thing", {})
        assert page.you.is_seller == (who is seller)
        (watched,) = (await market.call("list_watched", who)).items or [None]
        assert page.you.watching == (watched is not None)
        assert page.you.state == (watched.your_state if watched else "none")
        assert page.you.maximum == (watched.your_maximum if watched else None)
    anonymous = await market.call("get_page", auction_id=auction)
    assert anonymous.you is None
    assert all(bid.your_maximum is None for bid in anonymous.bids)
    text = to_json(anonymous).decode()
    assert str(ann.id) not in text
    assert str(bob.id) not in text
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    for who in (ann, bob):
        page = await assert_same_as_separate_reads(market, auction, who)
        assert page.you.state in {"won", "lost"}


async def test_only_the_newest_bids_are_shown_and_retractions_are_marked(market, seller, ann, bob):
    auction = await market.new_auction(seller)
    for n in range(8):
        await market.bid_now(auction, ann, 20_00 + n * 10_00)
        receipt = await market.bid_now(auction, bob, 25_00 + n * 10_00)
    await market.call("retract_bid", bob, auction_id=auction, bid_id=receipt.bid_id)
    page = await assert_same_as_separate_reads(market, auction, bob)
    assert len(page.bids) == BIDS_SHOWN
    assert {bid.retracted for bid in page.bids if bid.your_maximum} == {True}


async def test_a_dutch_page_falls_with_the_clock(market, seller):
    now = market.clock_ms = now_instant()
    dutch = {"floor_price": 1_00, "step": 1_00, "tick_s": 60}
    auction = await market.new_auction(seller, format="dutch", dutch=dutch, ends_at=moment(now + HOUR_MS))
    first = await assert_same_as_separate_reads(market, auction, seller)
    market.clock_ms = now + 150_000
    later = await assert_same_as_separate_reads(market, auction, seller)
    assert (first.auction.price, later.auction.price) == (10_00, 8_00)
    assert first.version != later.version


async def test_the_version_changes_with_everything_but_the_clock(market, seller, ann, bob):
    market.clock_ms = now_instant()
    auction = await market.new_auction(seller)

    async def version(who=ann) -> int:
        market.clock_ms += 1_000
        return (await market.call("get_page", who, auction_id=auction)).version

    seen = [await version()]
    assert await version() == seen[0]
    for change in (
        lambda: market.bid_now(auction, bob, 20_00),
        lambda: market.call("watch_auction", ann, auction_id=auction),
        lambda: market.call("watch_auction", ann, auction_id=auction, remind_before_s=[60]),
        lambda: market.call("unwatch_auction", ann, auction_id=auction),
        lambda: market.bid_now(auction, ann, 30_00),
        lambda: market.pool.execute(
            "UPDATE listings SET version = version + 1 WHERE listing_id ="
            " (SELECT listing_id FROM auctions WHERE auction_id = $1)",
            auction,
        ),
    ):
        await change()
        seen.append(await version())
    assert all(before != after for before, after in pairwise(seen))
    assert max(seen) < 2**53


async def test_the_position_and_the_state_are_of_one_snapshot(market, seller):
    auction = await market.new_auction(seller)
    stop = asyncio.Event()

    async def bid_on():
        amount = 20_00
        while not stop.is_set():
            amount += 10_00
            await market.bid_now(auction, new_caller(), amount)

    bidding = asyncio.create_task(bid_on())
    for _ in range(40):
        page = await market.call("get_page", auction_id=auction)
        assert page.position.offset == page.auction.version
        newest = page.bids[0].offset if page.bids else 1
        assert newest == page.position.offset
        assert page.auction.bid_count == page.position.offset - 1
    stop.set()
    await bidding


async def test_a_page_of_nothing_is_not_found(market):
    with pytest.raises(AuctionNotFound):
        await market.call("get_page", auction_id=new_id())
    with pytest.raises(msgspec.ValidationError):
        await market.call("get_page", auction_id="x")


async def test_the_page_reads_no_table_as_a_whole(market, seller, ann):
    auction = await market.new_auction(seller)
    await market.bid_now(auction, ann, 20_00)
    async with market.pool.acquire() as db, db.transaction():
        await db.execute("SET LOCAL enable_seqscan = off")
        text = _sql.read_page.replace("$1", f"'{auction}'").replace("$3", "10")
        plan = await db.fetch("EXPLAIN " + text.replace("$2", f"'{ann.id}'::uuid"))
    lines = "\n".join(row[0] for row in plan)
    assert "Seq Scan" not in lines, lines


async def test_the_page_says_how_many_watch_and_comes_without_it_while_nobody_knows(
    market, seller, redis, monkeypatch
):
    auction, other = [await market.new_auction(seller) for _ in range(2)]
    asked = []

    async def away(_redis, group):
        asked.append(group)
        raise TemporarilyUnavailable

    async def watching_now(auction_id):
        return (await market.call("get_page", auction_id=auction_id)).watching_now

    market.clock_ms = now_instant()
    await RedisViewerCounts(redis).set_counts({str(auction): 42})
    assert (await watching_now(auction), await watching_now(other)) == (42, 0)
    monkeypatch.setattr("handlers.auctions.watching.viewers._away_until_ms", 0)
    monkeypatch.setattr("handlers.auctions.watching.viewers.count_viewers", away)
    assert await watching_now(auction) == 42, "within a second nobody is asked"
    market.clock_ms += ANSWER_MS
    assert [await watching_now(one) for one in (auction, other, auction)] == [None] * 3
    assert asked == [str(auction)], "an outage is met once a second"
