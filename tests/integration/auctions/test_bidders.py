"""Whom a seller lets bid: approvals asked, given, refused, taken back; bidders kept out. Through the pipeline."""

import asyncio
import sys

import pytest

from protocols.auctions.guards import (
    ApprovalNotNeeded,
    BidderIsBlocked,
    BidderNotApproved,
    BidderNotFound,
    BidderNotRevocable,
    BlockNotFound,
    TooManyBlocks,
)
from protocols.auctions.refusals import AuctionNotFound, AuctionNotLive, BidNotRetractable, OwnAuction
from protocols.errors import InvalidInput, NotAllowed, Unauthenticated
from protocols.values import new_id, now_instant
from server.commands.idempotency import Answer
from tests.integration.auctions.conftest import HOUR_MS, moment, new_caller, new_user
from tests.integration.auctions.replay import assert_audited, assert_replays


async def approve(market, seller, auction, *bidders):
    for who in bidders:
        await market.call("request_approval", who, auction_id=auction)
        await market.call("approve_bidder", seller, auction_id=auction, bidder_id=who.id)


async def kinds_of(market, caller):
    return [event["type"] for event in await market.personal_events(caller)]


# -- approval --


async def test_a_bidder_asks_is_approved_and_bids(market, seller, ann):
    auction = await market.new_auction(seller, bidders="approved", buy_now_price=90_00)
    assert (await market.call("get_auction", auction_id=auction)).bidders == "approved"
    with pytest.raises(BidderNotApproved) as refused:
        await market.bid_now(auction, ann, 20_00)
    assert "auctions.request_approval" in refused.value.detail
    assert refused.value.facts == {"approval": "none"}
    with pytest.raises(BidderNotApproved):
        await market.call("buy_now", ann, auction_id=auction, key="k")
    asked = await market.call("request_approval", ann, auction_id=auction, message="I collect these")
    assert (asked.status, asked.message, asked.bidder_id) == ("requested", "I collect these", ann.id)
    again = await market.call("request_approval", ann, auction_id=auction, message="Please")
    assert again == asked
    (told,) = await market.personal_events(seller)
    assert (told["type"], told["bidder_id"], told["message"]) == (
        "approval_requested",
        str(ann.id),
        "I collect these",
    )
    with pytest.raises(BidderNotApproved) as refused:
        await market.bid_now(auction, ann, 20_00)
    assert refused.value.facts == {"approval": "requested"}
    for _ in range(2):
        given = await market.call("approve_bidder", seller, auction_id=auction, bidder_id=ann.id)
        assert given.status == "approved"
    (told,) = await market.personal_events(ann)
    assert (told["type"], told["status"]) == ("approval_changed", "approved")
    await market.bid_now(auction, ann, 20_00)
    assert given.bidder == (await market.row(auction))["leader_mask"]
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_a_rejected_bidder_hears_why_and_may_be_approved_later(market, seller, ann):
    auction = await market.new_auction(seller, bidders="approved")
    await market.call("request_approval", ann, auction_id=auction)
    fields = {"auction_id": auction, "bidder_id": ann.id}
    await market.call("reject_bidder", seller, **fields, reason="No history yet")
    (told,) = await market.personal_events(ann)
    assert (told["status"], told["reason"]) == ("rejected", "No history yet")
    assert (await market.call("request_approval", ann, auction_id=auction)).status == "rejected"
    assert await kinds_of(market, seller) == ["approval_requested"]
    with pytest.raises(BidderNotFound):
        await market.call("revoke_bidder", seller, **fields, reason="No")
    await market.call("approve_bidder", seller, **fields)
    await market.bid_now(auction, ann, 20_00)
    with pytest.raises(BidderNotFound):
        await market.call("reject_bidder", seller, **fields, reason="No")


async def test_approval_is_for_the_seller_of_such_an_auction(market, seller, ann, bob):
    auction, plain = await market.new_auction(seller, bidders="approved"), await market.new_auction(seller)
    fields = {"auction_id": auction, "bidder_id": ann.id}
    with pytest.raises(BidderNotFound):
        await market.call("approve_bidder", seller, **fields)
    await market.call("request_approval", ann, auction_id=auction)
    for verb, more in (
        ("approve_bidder", {}),
        ("reject_bidder", {"reason": "x"}),
        ("revoke_bidder", {"reason": "x"}),
    ):
        with pytest.raises(NotAllowed):
            await market.call(verb, bob, **fields, **more)
        with pytest.raises(NotAllowed):
            await market.call(verb, ann, **fields, **more)
        with pytest.raises(Unauthenticated):
            await market.call(verb, **fields, **more)
        with pytest.raises(ApprovalNotNeeded):
            await market.call(verb, seller, auction_id=plain, bidder_id=ann.id, **more)
        with pytest.raises(AuctionNotFound):
            await market.call(verb, seller, auction_id=new_id(), bidder_id=ann.id, **more)
    with pytest.raises(NotAllowed):
        await market.call("list_bidders", ann, auction_id=auction)
    with pytest.raises(OwnAuction):
        await market.call("request_approval", seller, auction_id=auction)
    with pytest.raises(ApprovalNotNeeded):
        await market.call("request_approval", ann, auction_id=plain)
    await market.call("cancel_auction", seller, auction_id=auction)
    with pytest.raises(AuctionNotLive):
        await market.call("request_approval", bob, auction_id=auction)


async def test_bidders_are_listed_in_the_order_they_asked(market, seller):
    auction = await market.new_auction(seller, bidders="approved")
    bidders = [new_caller() for _ in range(5)]
    for who in bidders:
        await market.call("request_approval", who, auction_id=auction)
    await market.call("approve_bidder", seller, auction_id=auction, bidder_id=bidders[3].id)
    found, cursor = [], None
    while True:
        page = await market.call("list_bidders", seller, auction_id=auction, limit=2, cursor=cursor)
        found += [one.bidder_id for one in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == [who.id for who in bidders]
    approved = await market.call("list_bidders", seller, auction_id=auction, status="approved")
    assert [one.bidder_id for one in approved.items] == [bidders[3].id]
    empty = await market.call("list_bidders", seller, auction_id=auction, status="revoked")
    assert (empty.items, empty.next_cursor) == ([], None)
    with pytest.raises(InvalidInput):
        await market.call("list_bidders", seller, auction_id=auction, cursor="x")


async def test_a_revoked_leaders_bids_go_and_the_runner_up_leads_again(market, seller, ann, bob):
    auction = await market.new_auction(seller, bidders="approved")
    await approve(market, seller, auction, ann, bob)
    await market.bid_now(auction, ann, 20_00)
    await market.bid_now(auction, bob, 30_00)
    await market.bid_now(auction, bob, 80_00)
    fields = {"auction_id": auction, "bidder_id": bob.id, "reason": "Did not pay last time"}
    revoked = await market.call("revoke_bidder", seller, **fields)
    assert (revoked.status, revoked.reason) == ("revoked", "Did not pay last time")
    assert await market.call("revoke_bidder", seller, **fields) == revoked
    event = (await market.auction_events(auction))[-1]
    assert (event["type"], event["reason"], event["retracted"]) == ("bid_retracted", "bidder_revoked", 2)
    row = await market.row(auction)
    assert (row["leader_id"], row["price"], row["bid_count"]) == (ann.id, 10_00, 1)
    assert (await kinds_of(market, bob))[-2:] == ["approval_changed", "bids_taken_back"]
    assert (await kinds_of(market, ann))[-1] == "leading_again"
    with pytest.raises(BidderNotApproved) as refused:
        await market.bid_now(auction, bob, 90_00)
    assert refused.value.facts == {"approval": "revoked"}
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


@pytest.mark.parametrize("terms", [{"format": "reverse", "starting_price": 900_00}, {"quantity": 3}])
async def test_a_revocation_follows_the_rules_of_the_format(market, seller, ann, bob, terms):
    (listing,) = await market.new_listings(seller, 1)
    await market.pool.execute("UPDATE listings SET quantity = 3 WHERE listing_id = $1", listing)
    auction = (await market.open(seller, listing, bidders="approved", **terms)).id
    await approve(market, seller, auction, ann, bob)
    for who, amount in ((ann, 800_00), (bob, 700_00)) if "format" in terms else ((ann, 20_00), (bob, 30_00)):
        await market.bid_now(auction, who, amount)
    await market.call("revoke_bidder", seller, auction_id=auction, bidder_id=bob.id, reason="x")
    row = await market.row(auction)
    assert (row["leader_id"], row["bid_count"]) == (ann.id, 1)
    assert (await kinds_of(market, bob))[-1] == "bids_taken_back"
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_late_a_bidder_with_standing_bids_stays_and_one_without_goes(market, seller, ann, bob):
    end = now_instant() + 48 * HOUR_MS
    auction = await market.new_auction(seller, bidders="approved", ends_at=moment(end))
    await approve(market, seller, auction, ann, bob)
    await market.bid_now(auction, ann, 20_00)
    market.clock_ms = end - 12 * HOUR_MS + 1
    with pytest.raises(BidderNotRevocable):
        await market.call("revoke_bidder", seller, auction_id=auction, bidder_id=ann.id, reason="x")
    assert (await market.row(auction))["leader_id"] == ann.id
    await market.call("revoke_bidder", seller, auction_id=auction, bidder_id=bob.id, reason="x")
    with pytest.raises(BidderNotApproved):
        await market.bid_now(auction, bob, 30_00)
    await market.bid_now(auction, ann, 30_00)


async def test_a_sealed_auction_takes_approved_bidders_and_keeps_their_bids(market, seller, ann, bob):
    auction = await market.new_auction(seller, format="sealed_first_price", bidders="approved")
    with pytest.raises(BidderNotApproved):
        await market.bid_now(auction, ann, 20_00)
    await approve(market, seller, auction, ann, bob)
    receipt = await market.bid_now(auction, ann, 20_00)
    with pytest.raises(BidderNotRevocable):
        await market.call("revoke_bidder", seller, auction_id=auction, bidder_id=ann.id, reason="x")
    with pytest.raises(BidNotRetractable):
        await market.call("retract_bid", ann, auction_id=auction, bid_id=receipt.bid_id)
    await market.call("revoke_bidder", seller, auction_id=auction, bidder_id=bob.id, reason="x")
    with pytest.raises(BidderNotApproved):
        await market.bid_now(auction, bob, 30_00)


async def test_a_dutch_auction_sells_to_approved_bidders_alone(market, seller, ann, bob):
    fall = {"floor_price": 1_00, "step": 1, "tick_s": 60}
    auction = await market.new_auction(seller, format="dutch", dutch=fall, bidders="approved")
    with pytest.raises(BidderNotApproved):
        await market.bid_now(auction, ann, 20_00)
    await approve(market, seller, auction, bob)
    assert (await market.bid_now(auction, bob, 20_00)).outcome == "won"


async def test_a_batch_judges_each_bidder_and_a_revocation_races_it_soundly(
    market, second_market, seller, ann, bob
):
    auction = await market.new_auction(seller, bidders="approved")
    await approve(market, seller, auction, ann, bob)
    stranger = new_caller()
    answers = await asyncio.gather(
        market.bid(auction, ann, 20_00),
        market.bid(auction, stranger, 30_00),
        market.bid(auction, bob, 40_00),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [Answer, BidderNotApproved, Answer]
    raced = await asyncio.gather(
        *(market.bid(auction, bob, 50_00 + n) for n in range(20)),
        second_market.call("revoke_bidder", seller, auction_id=auction, bidder_id=bob.id, reason="x"),
        *(second_market.bid(auction, bob, 90_00 + n) for n in range(20)),
        return_exceptions=True,
    )
    assert not isinstance(raced[20], Exception)
    row = await market.row(auction)
    assert (row["leader_id"], row["bid_count"]) == (ann.id, 1)
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


# -- blocks --


async def test_a_blocked_bidder_is_kept_out_of_open_and_later_auctions(market, seller, bob):
    ann = await new_user(market)
    before = await market.new_auction(seller, buy_now_price=90_00)
    other_sellers = await market.new_auction(bob)
    await market.bid_now(before, ann, 20_00)
    block = await market.call("block_bidder", seller, bidder_id=ann.id, reason="Never pays")
    assert (block.bidder_id, block.bidder, block.reason) == (ann.id, None, "Never pays")
    assert (await market.call("block_bidder", seller, bidder_id=ann.id)).id == block.id
    after = await market.new_auction(seller)
    picky = await market.new_auction(seller, bidders="approved")
    for auction in (before, after):
        with pytest.raises(BidderIsBlocked):
            await market.bid_now(auction, ann, 50_00)
    with pytest.raises(BidderIsBlocked):
        await market.call("buy_now", ann, auction_id=before, key="k")
    with pytest.raises(BidderIsBlocked):
        await market.call("request_approval", ann, auction_id=picky)
    assert (await market.row(before))["leader_id"] == ann.id
    await market.bid_now(other_sellers, ann, 20_00)
    await market.bid_now(before, bob, 30_00)
    assert await kinds_of(market, seller) == ["first_bid_placed", "bidder_blocked"]
    assert "bidder_blocked" not in await kinds_of(market, ann)
    await market.call("unblock_bidder", seller, block_id=block.id)
    assert await kinds_of(market, seller) == [
        "first_bid_placed",
        "bidder_blocked",
        "bidder_unblocked",
    ]
    await market.bid_now(before, ann, 50_00)


async def test_a_bidder_known_by_mask_is_blocked_and_stays_masked(market, seller, ann, bob):
    auction, other = await market.new_auction(seller), await market.new_auction(seller)
    await market.bid_now(auction, ann, 20_00)
    await market.bid_now(auction, bob, 30_00)
    mask = (await market.call("list_bids", auction_id=auction)).items[1].bidder
    block = await market.call("block_bidder", seller, auction_id=auction, bidder=mask)
    assert (block.bidder_id, block.auction_id, block.bidder) == (None, auction, mask)
    for where in (auction, other):
        with pytest.raises(BidderIsBlocked):
            await market.bid_now(where, ann, 50_00)
    await market.bid_now(other, bob, 50_00)
    await market.pool.execute(
        "INSERT INTO users (user_id, email, password_hash, display_name, created_at_ms)"
        " VALUES ($1, 'ann@example.com', '', 'Ann', 0)",
        ann.id,
    )
    known = await market.call("block_bidder", seller, bidder_id=ann.id)
    assert (known.bidder_id, known.bidder) == (ann.id, None)
    assert known.id != block.id
    listed = (await market.call("list_blocks", seller)).items
    assert [one.bidder_id for one in listed] == [None, ann.id]
    with pytest.raises(NotAllowed):
        await market.call("block_bidder", bob, auction_id=auction, bidder=mask)
    with pytest.raises(BidderNotFound):
        await market.call("block_bidder", seller, auction_id=auction, bidder="bidder_0000000000")


async def test_blocks_are_their_sellers_own_paged_and_bounded(market, seller, bob, monkeypatch):
    users = [await new_user(market) for _ in range(5)]
    made = [(await market.call("block_bidder", seller, bidder_id=who.id)).id for who in users]
    first = await market.call("list_blocks", seller, limit=3)
    rest = await market.call("list_blocks", seller, limit=3, cursor=first.next_cursor)
    assert [one.id for one in first.items + rest.items] == made
    assert rest.next_cursor is None
    assert (await market.call("list_blocks", bob)).items == []
    with pytest.raises(BlockNotFound):
        await market.call("unblock_bidder", bob, block_id=made[0])
    for fields in ({}, {"bidder": "x"}, {"auction_id": new_id()}, {"bidder_id": seller.id}):
        with pytest.raises((InvalidInput, BidderNotFound)):
            await market.call("block_bidder", seller, **fields)
    with pytest.raises(BidderNotFound):
        await market.call("block_bidder", seller, bidder_id=new_id())
    monkeypatch.setattr(sys.modules["handlers.auctions.guards.block_bidder"], "BLOCKS_MAX", 5)
    with pytest.raises(TooManyBlocks):
        await market.call("block_bidder", seller, bidder_id=(await new_user(market)).id)


async def test_a_block_and_an_opening_at_once_leave_no_auction_unguarded(market, second_market, seller):
    for _ in range(10):
        bidder = await new_user(market)
        (listing,) = await market.new_listings(seller, 1)
        _, made = await asyncio.gather(
            second_market.call("block_bidder", seller, bidder_id=bidder.id), market.open(seller, listing)
        )
        with pytest.raises(BidderIsBlocked):
            await market.bid_now(made.id, bidder, 20_00)
