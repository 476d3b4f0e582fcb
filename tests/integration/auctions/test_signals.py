"""Signals through the pipeline: raised once after the close from what bidders did, read and resolved by support."""

import dataclasses

import msgspec
import pytest

from handlers.auctions.closing.queue_losers import REVIEW_AFTER_MS
from handlers.auctions.rules import CLOSE_GRACE_MS
from handlers.domain import ChannelKinds
from protocols.auctions.channels import signal_stream
from protocols.auctions.signals import SignalAlreadyResolved, SignalNotFound
from protocols.errors import InvalidInput, NotAllowed, Unauthenticated
from protocols.values import new_id, now_instant
from server.domains import DOMAINS, channels_of
from tests.integration.auctions.conftest import HOUR_MS, moment, new_caller, new_user

SUPPORT = dataclasses.replace(new_caller(), roles=frozenset({"user", "support"}))


async def close_and_review(market, auction):
    end = (await market.row(auction))["ends_at_ms"]
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    market.clock_ms += REVIEW_AFTER_MS
    await market.run_timers()


async def signals_of(market, seller, status="open"):
    return (await market.call("list_signals", SUPPORT, seller=seller.id, status=status)).items


async def sign_in(market, user, address):
    await market.pool.execute(
        "INSERT INTO sessions (session_id, user_id, rotated_at_ms, created_at_ms, expires_at_ms, remote_ip)"
        " VALUES ($1, $2, 0, 0, 0, $3)",
        new_id(),
        user.id,
        address,
    )


async def test_a_shield_that_is_taken_back_late_is_seen(market, seller, ann, bob):
    end = now_instant() + 48 * HOUR_MS
    auction = await market.new_auction(seller, ends_at=moment(end))
    await market.bid_now(auction, ann, 12_00)
    shield = await market.bid_now(auction, bob, 900_00)
    market.clock_ms = end - 20 * HOUR_MS
    await market.call("retract_bid", bob, auction_id=auction, bid_id=shield.bid_id)
    await close_and_review(market, auction)
    (signal,) = await signals_of(market, seller)
    assert (signal.kind, signal.bidder_id, signal.score, signal.status) == ("shielding", bob.id, 100, "open")
    assert signal.evidence == {"highest_retracted": 900_00, "price": 10_00, "retracted_late": 1}
    rows = await market.pool.fetch("SELECT type FROM events WHERE stream = $1", signal_stream(signal.id))
    assert [row["type"] for row in rows] == ["signal_raised"]
    assert ChannelKinds(channels_of(DOMAINS)).find(signal_stream(signal.id)) is None


async def test_bids_taken_back_by_others_or_early_are_no_shield(market, seller, ann, bob):
    end = now_instant() + 48 * HOUR_MS
    early, revoked = (
        await market.new_auction(seller, ends_at=moment(end)),
        await market.new_auction(seller, ends_at=moment(end), bidders="approved"),
    )
    for who in (ann, bob):
        await market.call("request_approval", who, auction_id=revoked)
        await market.call("approve_bidder", seller, auction_id=revoked, bidder_id=who.id)
    for auction in (early, revoked):
        await market.bid_now(auction, ann, 12_00)
    huge = await market.bid_now(early, bob, 900_00)
    await market.bid_now(revoked, bob, 900_00)
    market.clock_ms = end - 30 * HOUR_MS
    await market.call("retract_bid", bob, auction_id=early, bid_id=huge.bid_id)
    market.clock_ms = end - 13 * HOUR_MS
    await market.call("revoke_bidder", seller, auction_id=revoked, bidder_id=bob.id, reason="x")
    await close_and_review(market, early)
    assert await signals_of(market, seller) == []


async def test_a_shill_who_bids_for_one_seller_and_never_wins_is_seen(market, seller):
    shill, victim = new_caller(), new_caller()
    start = market.clock_ms = now_instant()
    auctions = []
    for n in range(5):
        auction = await market.new_auction(seller, ends_at=moment(start + (n + 1) * HOUR_MS))
        await market.bid_now(auction, victim, 500_00)
        for amount in (20_00, 40_00, 60_00):
            await market.bid_now(auction, shill, amount)
        auctions.append(auction)
    for auction in auctions[:4]:
        await close_and_review(market, auction)
    assert await signals_of(market, seller) == []
    await close_and_review(market, auctions[4])
    (signal,) = await signals_of(market, seller)
    assert (signal.kind, signal.bidder_id, signal.auction_id) == ("one_seller", shill.id, auctions[4])
    assert signal.evidence["bids_with_seller"] == 15
    await market.pool.execute(
        "INSERT INTO timers (due_at_ms, kind, ref) VALUES (0, 'review_auction', $1)", auctions[4]
    )
    await market.run_timers()
    assert await signals_of(market, seller) == [signal]


async def test_a_bidder_at_the_sellers_address_is_seen_and_private_networks_are_not(market):
    seller, twin, colleague, stranger = [await new_user(market) for _ in range(4)]
    for who, address in (
        (seller, "8.8.8.8"),
        (twin, "8.8.8.8"),
        (seller, "10.0.0.1"),
        (colleague, "10.0.0.1"),
        (stranger, "9.9.9.9"),
    ):
        await sign_in(market, who, address)
    end = now_instant() + HOUR_MS
    auction = await market.new_auction(seller, ends_at=moment(end), format="sealed_first_price")
    for who in (twin, colleague, stranger):
        await market.bid_now(auction, who, 20_00)
    await close_and_review(market, auction)
    (signal,) = await signals_of(market, seller)
    assert (signal.kind, signal.bidder_id, signal.evidence) == ("shared_address", twin.id, {"addresses": 1})


async def test_signals_are_resolved_once_with_a_note(market):
    seller, twin = [await new_user(market) for _ in range(2)]
    for who in (seller, twin):
        await sign_in(market, who, "8.8.4.4")
    end = now_instant() + HOUR_MS
    made = []
    for _ in range(3):
        auction = await market.new_auction(seller, ends_at=moment(end))
        await market.bid_now(auction, twin, 20_00)
        made.append(auction)
    await close_and_review(market, made[0])
    first = await market.call("list_signals", SUPPORT, seller=seller.id, limit=2)
    rest = await market.call("list_signals", SUPPORT, seller=seller.id, limit=2, cursor=first.next_cursor)
    assert (len(first.items), len(rest.items), rest.next_cursor) == (2, 1, None)
    assert {one.auction_id for one in first.items + rest.items} == set(made)
    everybody = (await market.call("list_signals", SUPPORT, limit=100)).items
    assert {one.id for one in first.items} <= {one.id for one in everybody}
    fields = {"signal_id": first.items[0].id, "outcome": "dismissed", "note": "One household, both known"}
    done = await market.call("resolve_signal", SUPPORT, **fields)
    assert (done.status, done.note, done.resolved_by) == ("dismissed", fields["note"], SUPPORT.id)
    with pytest.raises(SignalAlreadyResolved):
        await market.call("resolve_signal", SUPPORT, **fields)
    with pytest.raises(SignalNotFound):
        await market.call("resolve_signal", SUPPORT, **(fields | {"signal_id": new_id()}))
    with pytest.raises(msgspec.ValidationError):
        await market.call("resolve_signal", SUPPORT, **(fields | {"note": ""}))
    assert await signals_of(market, seller, "dismissed") == [done]
    rows = await market.pool.fetch(
        "SELECT type FROM events WHERE stream = $1 ORDER BY number", signal_stream(done.id)
    )
    assert [row["type"] for row in rows] == ["signal_raised", "signal_resolved"]
    with pytest.raises(InvalidInput):
        await market.call("list_signals", SUPPORT, cursor="x")


async def test_signals_are_for_support_alone(market, seller, ann):
    for who in (seller, ann):
        with pytest.raises(NotAllowed):
            await market.call("list_signals", who)
        with pytest.raises(NotAllowed):
            await market.call("resolve_signal", who, signal_id=new_id(), outcome="dismissed", note="x")
    with pytest.raises(Unauthenticated):
        await market.call("list_signals")


async def test_many_reviews_are_spread_and_every_auction_gets_one(market, seller, ann):
    end = now_instant() + HOUR_MS
    listings = await market.new_listings(seller, 23)
    auctions = [(await market.open(seller, listing, ends_at=moment(end))).id for listing in listings]
    for auction in auctions:
        await market.bid_now(auction, ann, 20_00)
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    market.clock_ms += REVIEW_AFTER_MS
    counts = []
    for _ in range(8):
        await market.run_timers_once("review_auction")
        counts.append(
            await market.pool.fetchval("SELECT count(*) FROM bidder_activity WHERE bidder_id = $1", ann.id)
        )
        market.clock_ms += 100
    assert counts == [5, 10, 15, 20, 23, 23, 23, 23]
    assert await signals_of(market, seller) == []
