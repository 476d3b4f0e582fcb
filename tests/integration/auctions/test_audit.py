"""The audit: pages that fit together, nothing secret in them, and an auditor whom no change escapes."""

import copy
import random

import msgspec
import pytest

from handlers.auctions.rules import CLOSE_GRACE_MS
from protocols.auctions.audits import AuditEvent
from protocols.auctions.refusals import AuctionNotFound
from protocols.auctions.terms import SoftClose
from protocols.values import new_id, now_instant
from server.cli.audit_auction import describe
from server.cli.auditing import audit
from tests.integration.auctions.conftest import HOUR_MS, moment, new_caller
from tests.integration.auctions.replay import read_audit
from tests.integration.auctions.test_dutch import MINUTE_MS, TERMS
from tests.integration.auctions.test_sealed import close


async def played_english(market, seller, ann, bob):
    market.clock_ms = start = now_instant()
    auction = await market.new_auction(
        seller,
        reserve_price=15_00,
        ends_at=moment(start + HOUR_MS),
        soft_close=SoftClose(window_s=1800, extend_s=1800, max_extensions=3),
    )
    await market.bid_now(auction, ann, 12_00)
    await market.bid_now(auction, bob, 13_00)
    market.clock_ms = start + HOUR_MS - 60_000
    taken_back = await market.bid_now(auction, ann, 14_00)
    await market.bid_now(auction, bob, 30_00)
    await market.call("retract_bid", ann, auction_id=auction, bid_id=taken_back.bid_id)
    await close(market, auction)
    return auction


async def played_dutch(market, seller, ann):
    market.clock_ms = start = now_instant()
    auction = await market.new_auction(seller, **TERMS, ends_at=moment(start + HOUR_MS))
    market.clock_ms = start + MINUTE_MS
    await market.bid_now(auction, ann, 9_00)
    return auction


async def played_sealed(market, seller, name="sealed_second_price"):
    auction = await market.new_auction(seller, format=name, reserve_price=20_00)
    for amount in (30_00, 50_00, 40_00):
        await market.bid_now(auction, new_caller(), amount)
    await close(market, auction)
    return auction


async def test_an_absent_auction_has_no_audit(market):
    with pytest.raises(AuctionNotFound):
        await market.call("get_audit", auction_id=new_id())


async def test_pages_of_any_size_give_the_same_audit(market, seller, ann, bob):
    auction = await played_english(market, seller, ann, bob)
    whole, events = await read_audit(market, auction)
    assert whole.next_after is None
    for limit in (1, 3):
        last, pages = await read_audit(market, auction, limit)
        assert pages == events
        assert msgspec.structs.replace(last, events=[]) == msgspec.structs.replace(whole, events=[])
    assert (await market.call("get_audit", auction_id=auction, after=10**6)).events == []
    assert whole.increments[0] == (100, 5)
    assert (whole.soft_close.window_s, whole.close_grace_ms) == (1800, CLOSE_GRACE_MS)


async def test_maxima_and_the_reserve_of_an_english_auction_stay_secret(market, seller, ann):
    auction = await market.new_auction(seller, reserve_price=77_777_77)
    await market.bid_now(auction, ann, 66_666_66)
    await close(market, auction)
    told, _ = await read_audit(market, auction)
    text = msgspec.json.encode(told).decode()
    assert (told.has_reserve, told.reserve_price, told.status) == (True, None, "unsold")
    assert not any(secret in text for secret in ("7777777", "6666666", str(ann.id)))


async def test_equal_results_say_equal(market, seller, ann, bob):
    for auction in (
        await played_english(market, seller, ann, bob),
        await played_dutch(market, seller, ann),
        await played_sealed(market, seller),
        await market.new_auction(seller),
    ):
        told, events = await read_audit(market, auction)
        verdict = audit(told, events)
        assert verdict.faults == []
        assert describe(told, verdict).endswith("\nequal")
        assert verdict.outcome == ("open" if told.status == "live" else told.status)
        assert (verdict.price, verdict.winner) == (told.price, told.winner)


def sealed_changes(told, events):
    """Every way to cheat with an opening, and its name."""
    opened = next(place for place, event in enumerate(events) if event.data["type"] == "bids_opened")
    for field, value in [("amount", 45_00), ("nonce", "0" * 64), ("bidder", "bidder_0"), ("offset", 3)]:
        changed = copy.deepcopy(events)
        changed[opened].data["openings"][0][field] = value
        yield f"opening with another {field}", told, changed
    changed = copy.deepcopy(events)
    changed[opened].data["openings"].pop()
    yield "an opening left out", told, changed
    changed = copy.deepcopy(events)
    changed[2].data["commitment"] = "0" * 64
    yield "another commitment", told, changed
    yield "another reserve", msgspec.structs.replace(told, reserve_price=45_00), events


def header_changes(told, events):
    for field, value in [
        ("price", told.price + 1),
        ("winner", "bidder_0123456789"),
        ("status", "unsold"),
        ("bid_count", 9),
        ("starting_price", 9_99),
        ("version", told.version + 1),
    ]:
        yield f"header with another {field}", msgspec.structs.replace(told, **{field: value}), events
    yield "an event left out", told, [*events[:1], *events[2:]]
    yield "no close", told, events[:-1]


@pytest.mark.parametrize("name", ["sealed_first_price", "sealed_second_price"])
async def test_tampering_with_an_opened_bid_is_found(market, seller, name):
    told, events = await read_audit(market, await played_sealed(market, seller, name))
    for what, header, changed in [*sealed_changes(told, events), *header_changes(told, events)]:
        verdict = audit(header, changed)
        assert verdict.faults, what
        assert describe(header, verdict).endswith("NOT EQUAL")


async def test_a_change_of_any_number_in_an_english_audit_is_found(market, seller, ann, bob):
    told, events = await read_audit(market, await played_english(market, seller, ann, bob))
    assert_every_change_is_found(told, events, may_pass={"bid_id", "listing_id", "seller_id", "reserve_met"})
    for what, header, changed in header_changes(told, events):
        assert audit(header, changed).faults, what


async def test_a_change_of_any_number_in_a_dutch_audit_is_found(market, seller, ann):
    told, events = await read_audit(market, await played_dutch(market, seller, ann))
    assert_every_change_is_found(
        told,
        events,
        may_pass={"bid_id", "listing_id", "seller_id", "reserve_met", "minimum_bid", "bid_count", "ends_at"},
    )
    for what, header, changed in header_changes(told, events):
        assert audit(header, changed).faults, what
    late = copy.deepcopy(events)
    late[1] = AuditEvent(
        number=2, data=late[1].data, received_at=moment(now_instant() + 30 * MINUTE_MS).isoformat()
    )
    assert audit(told, late).faults


def assert_every_change_is_found(told, events, may_pass):
    """Change each field of each event but those that decide nothing here."""
    for place, event in enumerate(events):
        for field, value in event.data.items():
            if field in may_pass | {"at", "type"} or value is None:
                continue
            changed = copy.deepcopy(events)
            changed[place].data[field] = value + 7 if isinstance(value, int) else "2020-01-01T00:00:00.000Z"
            assert audit(told, changed).faults, (place, field)


async def test_a_close_before_the_end_is_found(market, seller, ann, bob):
    told, events = await read_audit(market, await played_english(market, seller, ann, bob))
    events[-1].data["at"] = moment(now_instant() - HOUR_MS).isoformat()
    assert any("before the end" in fault for fault in audit(told, events).faults)


async def test_an_audit_of_nonsense_is_faults_not_an_error(market, seller, ann, bob):
    told, events = await read_audit(market, await played_english(market, seller, ann, bob))
    dice = random.Random(3)
    for _ in range(300):
        changed = copy.deepcopy(events)
        victim = dice.choice(changed[1:])
        victim.data[dice.choice(sorted(victim.data))] = dice.choice([None, "x", -5, [], {}, 10**30, 1.5])
        audit(told, changed)
        audit(told, dice.sample(changed, len(changed)))
