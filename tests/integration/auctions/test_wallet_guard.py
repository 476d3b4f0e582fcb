"""Auctions guarded by wallets: what one bidder leads with is at most what the wallet had at each bid."""

import asyncio

import msgspec
import pytest

from protocols.auctions.guards import ExposureExceeded
from protocols.errors import InvalidInput, Refusal
from protocols.payments.postings import Hold
from protocols.values import new_id, now_instant
from storage.engines.postgres import open_database
from storage.payments.posting_rules import available
from tests.integration.auctions.conftest import HOUR_MS, moment
from tests.support.money import book, top_up, transfer


@pytest.fixture
async def books(database):
    opened = await open_database(database)
    yield opened
    await opened.close()


async def test_a_bid_above_what_the_wallet_has_available_and_held_is_refused(market, seller, ann, bob, books):
    auction = await market.new_auction(seller, wallet_guard=True)
    shown = await market.call("get_auction", auction_id=auction)
    assert (shown.wallet_guard, shown.exposure_guard) == (True, True)
    assert (await market.auction_events(auction))[0]["wallet_guard"] is True
    with pytest.raises(ExposureExceeded) as empty:
        await market.bid_now(auction, bob, 10_00)
    assert empty.value.facts == {"limit": 0, "used": 0, "free": 0}
    hold = Hold(
        hold_id=new_id(),
        owner_id=ann.id,
        currency="EUR",
        amount_minor=30_00,
        ref=new_id(),
        expires_at_ms=now_instant() + 60_000,
    )
    await book(books, [top_up(ann.id, 100_00)], [hold])
    with pytest.raises(ExposureExceeded) as refused:
        await market.bid_now(auction, ann, 100_01)
    assert refused.value.facts == {"limit": 100_00, "used": 0, "free": 100_00}
    await market.bid_now(auction, ann, 100_00)
    assert (await market.row(auction))["bid_count"] == 1


async def test_one_wallet_leads_no_more_auctions_than_it_can_pay(market, second_market, seller, ann, books):
    """Bids on many auctions at once, from two processes: the sum of what leads never exceeds the wallet."""
    await book(books, [top_up(ann.id, 95_00)])
    auctions = [await market.new_auction(seller, wallet_guard=True) for _ in range(24)]
    bids = [(market, second_market)[n % 2].bid(auction, ann, 10_00) for n, auction in enumerate(auctions)]
    answers = await asyncio.gather(*bids, return_exceptions=True)
    refused = [type(answer) for answer in answers if isinstance(answer, Refusal)]
    assert refused == [ExposureExceeded] * 15
    leads = "SELECT sum(leader_max) FROM auctions WHERE leader_id = $1"
    assert await market.pool.fetchval(leads, ann.id) == 90_00


async def test_the_smaller_of_limit_and_wallet_counts_and_other_auctions_know_the_limit_alone(
    market, seller, ann, books
):
    await book(books, [top_up(ann.id, 50_00)])
    by_limit = await market.new_auction(seller, exposure_guard=True)
    by_wallet = await market.new_auction(seller, wallet_guard=True)
    await market.bid_now(by_limit, ann, 40_00)
    with pytest.raises(ExposureExceeded) as refused:
        await market.bid_now(by_wallet, ann, 10_01)
    assert refused.value.facts == {"limit": 50_00, "used": 40_00, "free": 10_00}
    await market.bid_now(by_wallet, ann, 10_00)
    await market.bid_now(by_limit, ann, 400_00)


async def test_a_bid_that_leads_again_and_that_the_wallet_does_not_cover_any_more_goes_too(
    market, seller, ann, bob, books
):
    await book(books, [top_up(ann.id, 50_00)], [top_up(bob.id, 90_00)])
    auction = await market.new_auction(seller, wallet_guard=True)
    await market.bid_now(auction, ann, 40_00)
    above = await market.bid(auction, bob, 60_00)
    await book(books, [transfer(available(ann.id, "EUR"), available(bob.id, "EUR"), 20_00)])
    bid_id = msgspec.json.decode(above.body)["bid_id"]
    await market.call("retract_bid", bob, auction_id=auction, bid_id=bid_id)
    row = await market.row(auction)
    assert (row["leader_id"], row["bid_count"]) == (None, 0)
    assert [e["type"] for e in await market.personal_events(ann)][-1] == "bids_taken_back"


@pytest.mark.parametrize("name", ["reverse", "sealed_first_price"])
async def test_formats_whose_bidders_show_nothing_or_owe_nothing_refuse_it(market, seller, name):
    with pytest.raises(InvalidInput) as refused:
        await market.new_auction(seller, format=name, wallet_guard=True)
    assert [error["pointer"] for error in refused.value.facts["errors"]] == ["/wallet_guard"]


async def test_a_falling_price_is_covered_too(market, seller, ann, books):
    dutch = {"floor_price": 5_00, "step": 1_00, "tick_s": 60}
    ends_at = moment(market.now_ms() + HOUR_MS)
    auction = await market.new_auction(
        seller, format="dutch", dutch=dutch, wallet_guard=True, ends_at=ends_at
    )
    with pytest.raises(ExposureExceeded):
        await market.call("buy_now", ann, auction_id=auction, key=str(new_id()))
    await book(books, [top_up(ann.id, 10_00)])
    receipt = await market.call("buy_now", ann, auction_id=auction, key=str(new_id()))
    assert receipt.outcome == "won"
