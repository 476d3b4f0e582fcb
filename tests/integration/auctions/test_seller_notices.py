"""What a seller is told of a live auction: the first bid, the reserve, the prices that were chosen."""

import pytest

from handlers.auctions.rules import CLOSE_GRACE_MS
from protocols.auctions.refusals import AuctionNotFound, AuctionNotLive
from protocols.errors import InvalidInput, NotAllowed
from protocols.values import new_id, now_instant
from tests.integration.auctions.conftest import HOUR_MS, moment, new_caller


async def told(market, seller):
    """The seller's events of live auctions, as (type, price, reached)."""
    kinds = {"first_bid_placed", "reserve_met", "price_reached"}
    return [
        (event["type"], event["price"], event.get("reached"))
        for event in await market.personal_events(seller)
        if event["type"] in kinds
    ]


async def test_a_seller_hears_of_the_first_bid_and_of_the_reserve_once_each(market, seller, ann, bob):
    auction = await market.new_auction(seller, reserve_price=25_00)
    await market.bid_now(auction, ann, 20_00)
    assert await told(market, seller) == [("first_bid_placed", 10_00, None)]
    await market.bid_now(auction, bob, 26_00)
    await market.bid_now(auction, ann, 40_00)
    assert await told(market, seller) == [("first_bid_placed", 10_00, None), ("reserve_met", 25_00, None)]
    event = (await market.personal_events(seller))[0]
    assert (event["title"], event["currency"], event["bid_count"]) == ("A thing", "EUR", 1)


async def test_a_seller_hears_of_the_prices_chosen_the_farthest_of_several_at_once(market, seller, ann, bob):
    auction = await market.new_auction(seller)
    chosen = {"auction_id": auction, "first_bid": False, "prices": [50_00, 20_00, 30_00, 30_00]}
    kept = await market.call("set_seller_notices", seller, **chosen)
    assert (kept.first_bid, kept.reserve_met, kept.prices) == (False, True, [20_00, 30_00, 50_00])
    assert await market.call("get_seller_notices", seller, auction_id=auction) == kept
    await market.bid_now(auction, ann, 40_00)
    assert await told(market, seller) == []
    await market.bid_now(auction, bob, 35_00)  # the price becomes 36.00
    await market.bid_now(auction, ann, 45_00)  # her own raise moves nothing
    await market.bid_now(auction, bob, 60_00)
    await market.bid_now(auction, ann, 61_00)
    assert [(kind, reached) for kind, _, reached in await told(market, seller)] == [
        ("price_reached", 30_00),
        ("price_reached", 50_00),
    ]


async def test_of_a_reverse_auction_the_prices_are_told_as_it_falls(market, seller, ann, bob):
    auction = await market.new_auction(seller, format="reverse", starting_price=100_00, reserve_price=70_00)
    await market.call("set_seller_notices", seller, auction_id=auction, prices=[80_00, 60_00])
    await market.bid_now(auction, ann, 90_00)
    await market.bid_now(auction, bob, 75_00)
    await market.bid_now(auction, ann, 65_00)
    kinds = [(kind, reached) for kind, _, reached in await told(market, seller)]
    assert kinds == [("first_bid_placed", None), ("reserve_met", None), ("price_reached", 80_00)]


async def test_a_sealed_auction_tells_of_its_first_bid_and_of_no_price(market, seller, ann):
    auction = await market.new_auction(seller, format="sealed_first_price", reserve_price=20_00)
    await market.bid_now(auction, ann, 90_00)
    assert await told(market, seller) == [("first_bid_placed", 10_00, None)]
    with pytest.raises(InvalidInput, match="no price"):
        await market.call("set_seller_notices", seller, auction_id=auction, prices=[30_00])


async def test_a_purchase_that_ends_a_dutch_auction_is_told_as_a_sale_alone(market, seller, ann):
    dutch = {"floor_price": 1_00, "step": 1_00, "tick_s": 60}
    auction = await market.new_auction(seller, format="dutch", dutch=dutch)
    await market.bid_now(auction, ann, 10_00)
    assert [event["type"] for event in await market.personal_events(seller)] == ["auction_sold"]


@pytest.mark.parametrize("prices", [[10_00], [9_00, 20_00]])
async def test_a_price_that_cannot_be_reached_is_refused_and_nothing_changes(market, seller, prices):
    auction = await market.new_auction(seller)
    before = await market.call("get_seller_notices", seller, auction_id=auction)
    with pytest.raises(InvalidInput, match="above the starting price") as refused:
        await market.call("set_seller_notices", seller, auction_id=auction, first_bid=False, prices=prices)
    assert refused.value.facts["errors"][0]["pointer"] == "/prices"
    assert await market.call("get_seller_notices", seller, auction_id=auction) == before


async def test_only_the_seller_of_an_open_auction_chooses(market, seller):
    end = now_instant() + HOUR_MS
    auction = await market.new_auction(seller, ends_at=moment(end))
    for verb in ("set_seller_notices", "get_seller_notices"):
        with pytest.raises(NotAllowed):
            await market.call(verb, new_caller(), auction_id=auction)
        with pytest.raises(AuctionNotFound):
            await market.call(verb, seller, auction_id=new_id())
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    with pytest.raises(AuctionNotLive):
        await market.call("set_seller_notices", seller, auction_id=auction)
