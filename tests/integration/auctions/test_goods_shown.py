"""What auctions show of their goods: title and photo in lists, words to find them by, titles in personal events."""

import json

import pytest
from msgspec.structs import fields

from handlers.auctions.reading.list_auctions import list_auctions
from handlers.auctions.rules import CLOSE_GRACE_MS
from handlers.contract import ANONYMOUS, Stores
from protocols.auctions.commands import ListAuctions
from protocols.errors import InvalidInput
from protocols.goods import file_path
from protocols.listings.saved_searches import SearchFilters
from protocols.values import new_id, now_instant
from tests.integration.auctions.conftest import HOUR_MS, moment, new_caller
from tests.integration.auctions.test_listing_of_auction import on_listing


async def titled(market, seller, title, photo_id=None, **terms):
    (listing,) = await market.new_listings(seller, 1)
    await on_listing(
        market, "update_listing", seller, listing, title=title, condition="like_new" if photo_id else "new"
    )
    photos = [{"photo_id": str(one), "width": 800, "height": 600} for one in (photo_id, new_id()) if photo_id]
    await market.pool.execute(
        "UPDATE listings SET photos = $2 WHERE listing_id = $1", listing, json.dumps(photos)
    )
    return (await market.open(seller, listing, **terms)).id


async def test_lists_watch_list_and_page_carry_title_and_first_photo(market, seller, ann):
    photo_id = new_id()
    auction = await titled(market, seller, "Brass lamp", photo_id)
    await market.call("watch_auction", ann, auction_id=auction)
    listed = (await market.call("list_auctions", seller_id=seller.id)).items
    filtered = (await market.call("list_auctions", seller_id=seller.id, format="english")).items
    near_goods = (await market.call("list_auctions", seller_id=seller.id, category="other")).items
    by_end = (await market.call("list_auctions", status="live", limit=100)).items
    watched = (await market.call("list_watched", ann)).items
    page = await market.call("get_page", ann, auction_id=auction)
    shown = [*listed, *filtered, *near_goods, *watched, page.auction]
    assert [one.title for one in shown] == ["Brass lamp"] * 5
    assert {one.photo.small for one in shown} == {file_path(photo_id, "small")}
    assert {(one.photo.id, one.photo.width, one.photo.height) for one in shown} == {(photo_id, 800, 600)}
    assert all(one.title for one in by_end)
    bare = await market.call("get_auction", auction_id=await titled(market, seller, "No photo"))
    assert (bare.title, bare.photo) == ("No photo", None)


async def test_auctions_are_found_by_words_of_their_goods(market, seller):
    lamp = await titled(market, seller, "Zanzibari brass lamp", new_id())
    await titled(market, seller, "Zanzibari wooden chest")

    async def found(**filters):
        return [item.id for item in (await market.call("list_auctions", **filters)).items]

    assert await found(q="ZANZIBARI lamps") == [lamp]
    assert len(await found(q="zanzibari")) == 2
    assert await found(q="zanzibari", condition="like_new") == [lamp]
    assert await found(q="zanzibari", seller_id=new_id()) == []
    assert await found(q="?!") == []
    first = await market.call("list_auctions", q="zanzibari", limit=1)
    second = await market.call("list_auctions", q="zanzibari", limit=1, cursor=first.next_cursor)
    assert {first.items[0].id, second.items[0].id} == set(await found(q="zanzibari"))
    await market.call("cancel_auction", seller, auction_id=lamp)
    assert await found(q="zanzibari", status="cancelled") == [lamp]


def test_lists_of_auctions_take_every_filter_of_listings():
    assert {field.name for field in fields(SearchFilters)} <= {field.name for field in fields(ListAuctions)}


async def test_the_older_name_of_the_seller_filter_still_works_and_may_not_contradict(market, seller):
    auction = await market.new_auction(seller)
    for asked in (
        {"seller": seller.id},
        {"seller_id": seller.id},
        {"seller": seller.id, "seller_id": seller.id},
    ):
        assert [item.id for item in (await market.call("list_auctions", **asked)).items] == [auction]
    with pytest.raises(InvalidInput):
        await market.call("list_auctions", seller=seller.id, seller_id=new_id())


async def test_the_watch_list_filters_by_status_as_lists_do(market, seller, ann):
    live, gone = await market.new_auction(seller), await market.new_auction(seller)
    for auction in (live, gone):
        await market.call("watch_auction", ann, auction_id=auction)
    await market.call("cancel_auction", seller, auction_id=gone)
    for status, found in (("live", [live]), ("cancelled", [gone]), ("sold", [])):
        assert [item.id for item in (await market.call("list_watched", ann, status=status)).items] == found


async def test_the_page_tells_the_callers_own_mask(market, seller, ann):
    auction = await market.new_auction(seller)
    before = (await market.call("get_page", ann, auction_id=auction)).you.mask
    await market.bid_now(auction, ann, 20_00)
    page = await market.call("get_page", ann, auction_id=auction)
    assert page.you.mask == before == page.bids[0].bidder == page.auction.leader
    assert (await market.call("get_page", new_caller(), auction_id=auction)).you.mask != before


async def test_personal_events_carry_title_and_currency(market, seller, ann, bob):
    end = now_instant() + HOUR_MS
    auction = await titled(market, seller, "Copper kettle", ends_at=moment(end))
    await market.bid_now(auction, ann, 20_00)
    receipt = await market.bid_now(auction, bob, 30_00)
    await market.call("retract_bid", bob, auction_id=auction, bid_id=receipt.bid_id)
    await market.bid_now(auction, bob, 40_00)
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    told = {}
    for who in (seller, ann, bob):
        for event in await market.personal_events(who):
            told.setdefault(event["type"], []).append((event["title"], event["currency"]))
    assert {"outbid", "leading_again", "auction_won", "auction_lost", "auction_sold"} <= set(told)
    assert {one for events in told.values() for one in events} == {("Copper kettle", "EUR")}


async def test_a_title_changed_before_the_start_is_the_one_that_events_tell(market, seller, ann, bob):
    start = now_instant() + HOUR_MS
    auction = await titled(
        market, seller, "Old name", starts_at=moment(start), ends_at=moment(start + HOUR_MS)
    )
    await market.call("list_bids", auction_id=auction)  # the terms are in memory now
    await market.pool.execute("UPDATE listings SET title = 'New name' WHERE seller_id = $1", seller.id)
    market.clock_ms = start
    await market.run_timers()
    await market.bid_now(auction, ann, 20_00)
    await market.bid_now(auction, bob, 30_00)
    assert [e["title"] for e in await market.personal_events(ann) if e["type"] == "outbid"] == ["New name"]


async def test_a_grid_of_24_auctions_is_one_statement(market, seller):
    for number in range(24):
        await titled(market, seller, f"Lamp {number}", new_id())
    statements = []
    async with market.pool.acquire() as db:
        read = (ListAuctions(seller_id=seller.id, limit=24), ANONYMOUS, Stores(db, None, ""), market.now_ms())
        await list_auctions(*read)  # the driver has asked for the types by now
        with db.query_logger(statements.append):
            outcome = await list_auctions(*read)
    assert [item.title for item in outcome.reply.items] == [f"Lamp {number}" for number in range(24)]
    assert all(item.photo for item in outcome.reply.items)
    assert len(statements) == 1
