"""Lots of several units through the pipeline: the best bids share them at one price, ascending or sealed."""

import asyncio
import copy
import random
from collections import Counter

import asyncpg
import msgspec
import pytest

from protocols.auctions.audits import commitment_of
from protocols.auctions.commands import OpenAuction
from protocols.auctions.refusals import BidTooLow, TooManyUnits, UnitsReduced
from protocols.auctions.terms import SoftClose
from protocols.errors import InvalidInput, Refusal
from protocols.values import now_instant
from server.cli.auditing import audit
from storage.auctions.lookups import read_auction_facts, read_ticker
from tests.integration.auctions.conftest import BY_VERB, HOUR_MS, moment, new_caller
from tests.integration.auctions.replay import assert_audited, assert_replays, read_audit
from tests.integration.auctions.test_audit import assert_every_change_is_found, header_changes
from tests.integration.auctions.test_replay import settle
from tests.integration.auctions.test_sealed import close
from tests.unit.handlers.auctions.format_oracles import SealedOracle, UnitsOracle


async def new_lot(market, seller, quantity, **terms):
    """Open an auction of so many of a listing that has ten; return its id."""
    (listing,) = await market.new_listings(seller, 1)
    await market.pool.execute("UPDATE listings SET quantity = 10 WHERE listing_id = $1", listing)
    return (await market.open(seller, listing, quantity=quantity, **terms)).id


def bid(market, auction, who, amount, quantity=1):
    return market.call(
        "place_bid", who, auction_id=auction, amount=amount, quantity=quantity, key=f"{amount}"
    )


def shares(event):
    return [(share["quantity"], share["price"]) for share in event["winners"]]


async def test_the_best_bids_share_the_units_at_the_lowest_winning_price(market, seller, ann, bob):
    auction, eve = await new_lot(market, seller, 3), new_caller()
    first = await bid(market, auction, ann, 20_00, 2)
    assert (first.outcome, first.units, first.price, first.minimum_bid) == ("leading", 2, 10_00, 10_00)
    second = await bid(market, auction, bob, 15_00, 2)
    assert (second.units, second.price, second.minimum_bid) == (1, 15_00, 15_50), "one unit was left"
    with pytest.raises(BidTooLow) as refused:
        await bid(market, auction, eve, 15_49)
    assert refused.value.facts == {"minimum_bid": 15_50}
    with pytest.raises(UnitsReduced):
        await bid(market, auction, bob, 30_00, 1)
    with pytest.raises(TooManyUnits):
        await bid(market, auction, eve, 99_00, 4)
    third = await bid(market, auction, eve, 18_00)
    assert (third.outcome, third.units, third.price) == ("leading", 1, 18_00)
    assert await bid(market, auction, ann, 20_01, 2), "a holder may add a cent"
    _, one, two, three, _ = await market.auction_events(auction)
    assert [event.get("quantity", 1) for event in (one, two, three)] == [2, 2, 1]
    assert three["units_held"] == [
        {"bidder": three["bidder"], "units": 1},
        {"bidder": two["bidder"], "units": 0},
    ]
    (told,) = await market.personal_events(bob)
    assert (told["type"], told["price"], told["minimum_bid"], told.get("units", 0)) == (
        "outbid",
        18_00,
        18_50,
        0,
    )
    seen = await market.call("get_auction", ann, auction_id=auction)
    assert (seen.quantity, seen.you_lead, seen.your_maximum, seen.your_units) == (3, True, 20_01, 2)
    out = await market.call("get_auction", bob, auction_id=auction)
    assert (out.you_lead, out.your_maximum, out.your_units) == (False, None, 0)
    async with market.pool.acquire() as db:
        assert (await read_ticker(db, auction))[1].price == 18_00
    await close(market, auction)
    closed = (await market.auction_events(auction))[-1]
    assert (closed["outcome"], closed["winner"], closed["price"]) == ("sold", None, 18_00)
    assert closed["winners"] == [
        {"winner": one["bidder"], "quantity": 2, "price": 18_00},
        {"winner": three["bidder"], "quantity": 1, "price": 18_00},
    ]
    for who, units in ((ann, 2), (eve, None)):
        won = (await market.personal_events(who))[-1]
        assert (won["type"], won["price"], won.get("quantity")) == ("auction_won", 18_00, units)
    assert (await market.personal_events(bob))[-1]["type"] == "auction_lost"
    sold = [event for event in await market.personal_events(seller) if event["type"] == "auction_sold"]
    assert [(s["buyer_id"], s.get("quantity", 1)) for s in sold] == [(str(ann.id), 2), (str(eve.id), 1)]
    async with market.pool.acquire() as db:
        facts = await read_auction_facts(db, auction)
    assert (facts.winner_id, facts.quantity, facts.format) == (None, 3, "english")
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_units_that_nobody_wants_leave_the_starting_price(market, seller, ann, bob):
    auction = await new_lot(market, seller, 5)
    await bid(market, auction, ann, 50_00, 2)
    await bid(market, auction, bob, 12_00, 2)
    await close(market, auction)
    closed = (await market.auction_events(auction))[-1]
    assert (closed["outcome"], shares(closed)) == ("sold", [(2, 10_00), (2, 10_00)])
    empty = await new_lot(market, seller, 5)
    await close(market, empty)
    closed = (await market.auction_events(empty))[-1]
    assert (closed["outcome"], closed.get("winners")) == ("unsold", None)
    assert await assert_replays(market.pool, [auction, empty]) == 2
    await assert_audited(market, [auction, empty])


async def test_who_loses_a_unit_or_gets_one_back_is_told(market, seller, ann, bob):
    auction, eve = await new_lot(market, seller, 3), new_caller()
    await bid(market, auction, ann, 20_00, 3)
    rival = await bid(market, auction, bob, 30_00, 1)
    (told,) = await market.personal_events(ann)
    assert (told["type"], told["units"], told["price"]) == ("outbid", 2, 20_00)
    await bid(market, auction, eve, 40_00, 2)
    assert [event.get("units") for event in await market.personal_events(ann)] == [2, None]
    shown = await market.call("retract_bid", bob, auction_id=auction, bid_id=rival.bid_id)
    assert (shown.price, shown.bid_count, shown.minimum_bid) == (20_00, 2, 20_50)
    again = (await market.personal_events(ann))[-1]
    assert (again["type"], again["price"], again.get("units", 1)) == ("leading_again", 20_00, 1)
    retracted = (await market.auction_events(auction))[-1]
    assert sorted(change["units"] for change in retracted["units_held"]) == [0, 1]
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_a_batch_tells_each_loser_once_and_nobody_who_is_back(market, seller, ann, bob):
    auction, eve = await new_lot(market, seller, 2), new_caller()
    moves = [(ann, 20_00), (bob, 21_00), (eve, 22_00), (ann, 23_00), (bob, 24_00), (ann, 25_00)]
    await asyncio.gather(*(bid(market, auction, who, amount) for who, amount in moves))
    assert [event["type"] for event in await market.personal_events(eve)] == ["outbid"]
    assert await market.personal_events(ann) == await market.personal_events(bob) == []
    assert (
        await market.pool.fetchval("SELECT count(*) FROM auction_places WHERE auction_id = $1", auction) == 2
    )


@pytest.mark.parametrize(
    ("terms", "pointer"),
    [
        ({"quantity": 11}, "/quantity"),
        ({"format": "dutch", "dutch": {"floor_price": 1, "step": 1, "tick_s": 1}}, "/quantity"),
        ({"format": "reverse"}, "/quantity"),
        ({"reserve_price": 20_00}, "/reserve_price"),
        ({"buy_now_price": 20_00}, "/buy_now_price"),
    ],
)
async def test_terms_a_lot_of_several_cannot_have_are_refused(market, seller, terms, pointer):
    with pytest.raises(InvalidInput) as refused:
        await new_lot(market, seller, **{"quantity": 3, **terms})
    assert [error["pointer"] for error in refused.value.facts["errors"]] == [pointer]


async def test_reserved_pieces_cannot_be_auctioned(market, seller):
    (listing,) = await market.new_listings(seller, 1)
    await market.pool.execute("UPDATE listings SET quantity = 5, reserved = 3 WHERE listing_id = $1", listing)
    with pytest.raises(InvalidInput, match="The listing has 2 to sell"):
        await market.open(seller, listing, quantity=3)
    assert (await market.open(seller, listing, quantity=2)).quantity == 2


async def test_the_checks_of_the_auctions_table_hold(market, seller):
    """What a row can never be, whatever wrote it."""
    auction = await market.new_auction(seller, format="reverse", starting_price=50_00)
    for change in (
        "step_limits = '{}'",
        "reserve_price = 5001",
        "leader_id = auction_id, leader_mask = 'x', leader_max = price + 1",
        "quantity = 0",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await market.pool.execute(
                f"UPDATE auctions SET {change} WHERE auction_id = $1",  # noqa: S608 - our own words
                auction,
            )


@pytest.mark.parametrize("quantity", [0, 101, "2", 1.5])
async def test_an_absurd_quantity_is_no_command(market, seller, ann, quantity):
    for verb, fields in (
        ("place_bid", {"auction_id": str(seller.id), "amount": 1, "key": "k"}),
        (
            "open_auction",
            msgspec.to_builtins(
                OpenAuction(
                    listing_id=seller.id,
                    format="english",
                    currency="EUR",
                    starting_price=1,
                    ends_at=moment(0),
                )
            ),
        ),
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({**fields, "quantity": quantity}, BY_VERB[verb].command, strict=True)
    assert ann


@pytest.mark.parametrize(
    ("name", "reserve", "bids", "result"),
    [
        ("sealed_first_price", None, [(50_00, 1), (40_00, 2), (30_00, 1)], ([1, 2], 40_00)),
        ("sealed_second_price", None, [(50_00, 1), (40_00, 2), (30_00, 1)], ([1, 2], 30_00)),
        ("sealed_second_price", None, [(50_00, 2), (40_00, 2), (30_00, 1)], ([2, 1], 40_00)),
        ("sealed_second_price", 35_00, [(50_00, 1), (40_00, 1), (34_99, 3)], ([1, 1], 35_00)),
        ("sealed_first_price", 35_00, [(34_99, 3)], None),
        ("sealed_first_price", None, [(40_00, 1), (40_00, 3)], ([1, 2], 40_00)),
    ],
)
async def test_sealed_bids_for_several_units(market, seller, name, reserve, bids, result):
    auction = await new_lot(market, seller, 3, format=name, reserve_price=reserve)
    for amount, quantity in bids:
        receipt = await bid(market, auction, new_caller(), amount, quantity)
        assert (receipt.outcome, receipt.units) == ("sealed", None)
    placed = (await market.auction_events(auction))[1]
    assert "quantity" not in placed, "how many is as secret as how much"
    assert {item.quantity for item in (await market.call("list_bids", auction_id=auction)).items} == {None}
    await close(market, auction)
    *_, opened, closed = await market.auction_events(auction)
    told = [(one["amount"], one["quantity"]) for one in opened["openings"]]
    assert told == bids
    one = opened["openings"][0]
    made = commitment_of(auction, one["bidder"], one["amount"], one["nonce"], one["quantity"])
    assert made == placed["commitment"]
    if result is None:
        assert (closed["outcome"], closed.get("winners")) == ("unsold", None)
    else:
        assert shares(closed) == [(units, result[1]) for units in result[0]]
    listed = (await market.call("list_bids", auction_id=auction)).items
    assert [(item.price, item.quantity) for item in reversed(listed)] == bids
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def played(market, seller, ann, bob):
    market.clock_ms = start = now_instant()
    auction = await new_lot(
        market,
        seller,
        3,
        ends_at=moment(start + HOUR_MS),
        soft_close=SoftClose(window_s=1800, extend_s=1800, max_extensions=3),
    )
    await bid(market, auction, ann, 20_00, 2)
    await bid(market, auction, bob, 15_00, 2)
    market.clock_ms = start + HOUR_MS - 60_000
    await bid(market, auction, new_caller(), 18_00, 1)
    eve = new_caller()
    await bid(market, auction, eve, 19_00, 1)
    last = await bid(market, auction, eve, 25_00, 2)
    await market.call("retract_bid", eve, auction_id=auction, bid_id=last.bid_id)
    await close(market, auction)
    return auction


async def test_a_change_of_any_number_in_its_audit_is_found(market, seller, ann, bob):
    told, events = await read_audit(market, await played(market, seller, ann, bob))
    assert audit(told, events).faults == []
    assert {"auction_extended", "bid_retracted", "auction_closed"} < {event.data["type"] for event in events}
    may_pass = {"bid_id", "listing_id", "seller_id", "reserve_met", "units_held", "winners"}
    assert_every_change_is_found(told, events, may_pass=may_pass)
    for what, header, changed in header_changes(told, events):
        assert audit(header, changed).faults, what
    for place, event in enumerate(events):
        for field, part in (("units_held", "units"), ("winners", "quantity"), ("winners", "price")):
            for entry in range(len(event.data.get(field) or ())):
                changed = copy.deepcopy(events)
                changed[place].data[field][entry][part] += 1
                assert audit(told, changed).faults, (place, field, entry)
                changed = copy.deepcopy(events)
                del changed[place].data[field][entry]
                assert audit(told, changed).faults, (place, field, entry, "left out")


async def test_a_change_of_a_sealed_quantity_is_found(market, seller, ann, bob):
    auction = await new_lot(market, seller, 3, format="sealed_first_price")
    await bid(market, auction, ann, 40_00, 2)
    await bid(market, auction, bob, 50_00, 2)
    await close(market, auction)
    told, events = await read_audit(market, auction)
    assert audit(told, events).winners == [
        (events[2].data["bidder"], 2),
        (events[1].data["bidder"], 1),
    ]
    for entry, field in ((-2, "openings"), (-1, "winners")):
        changed = copy.deepcopy(events)
        changed[entry].data[field][0]["quantity"] = 1
        assert audit(told, changed).faults
    assert audit(msgspec.structs.replace(told, quantity=4), events).faults


async def test_random_lots_of_several_agree_with_the_oracle_and_replay(market):
    dice = random.Random(12)
    seller, bidders = new_caller(), [new_caller() for _ in range(6)]
    market.clock_ms = start = now_instant()
    auctions = {}
    for _ in range(50):
        quantity = dice.choice([2, 3, 7])
        ends_at = moment(start + dice.choice([20, 30]) * HOUR_MS)
        auction = await new_lot(market, seller, quantity, ends_at=ends_at)
        auctions[auction] = UnitsOracle(10_00, quantity)
    told, receipts = Counter(), []
    levels = dict.fromkeys(auctions, 10_00)
    for round_ in range(18):
        moves = []
        for auction, oracle in auctions.items():
            levels[auction] += dice.choice([0, 0, 25, 50, 100, 300])
            wanted = dice.choice([1, 1, 2, oracle.units])
            moves.append((auction, dice.choice(bidders), levels[auction], wanted))
        answers = await asyncio.gather(
            *(
                market.call("place_bid", w, auction_id=a, amount=n, quantity=q, key=f"{a}{round_}")
                for a, w, n, q in moves
            ),
            return_exceptions=True,
        )
        for (auction, who, amount, wanted), answer in zip(moves, answers, strict=True):
            outcome = answer.code if isinstance(answer, Refusal) else answer.outcome
            assert auctions[auction].bid(str(who.id), amount, wanted) == outcome
            told[outcome] += 1
            if outcome == "leading":
                receipts.append((auction, who, answer.bid_id))
        for auction, who, bid_id in dice.sample(receipts, 8):
            (answer,) = await settle([market.call("retract_bid", who, auction_id=auction, bid_id=bid_id)])
            if answer:  # long before the end all bids of the bidder go
                auctions[auction].retract(str(who.id))
                assert answer.price == auctions[auction].price()
    await close(market, *auctions)
    for auction, oracle in auctions.items():
        closed = (await market.auction_events(auction))[-1]
        winners = await market.pool.fetch(
            "SELECT bidder_id, units FROM auction_places WHERE auction_id = $1 ORDER BY place", auction
        )
        assert {str(who): units for who, units in winners} == oracle.holders()
        assert sorted(shares(closed)) == sorted(
            (units, oracle.price()) for units in oracle.holders().values()
        )
    assert min(told[one] for one in ("leading", "bid_too_low", "units_reduced")) > 20
    assert await assert_replays(market.pool, list(auctions)) == 50
    await assert_audited(market, list(auctions))
    lost = await market.pool.fetch(
        "SELECT l.auction_id FROM auction_losers AS l JOIN auction_places AS p USING (auction_id, bidder_id)"
    )
    assert lost == [], "no winner is told of having lost"


async def test_random_sealed_lots_of_several_agree_with_the_oracle_and_replay(market):
    dice = random.Random(13)
    seller, bidders = new_caller(), [new_caller() for _ in range(6)]
    auctions = {}
    for _ in range(40):
        name, reserve = dice.choice(["sealed_first_price", "sealed_second_price"]), dice.choice([None, 12_00])
        quantity = dice.choice([2, 3, 7])
        auction = await new_lot(market, seller, quantity, format=name, reserve_price=reserve)
        auctions[auction] = SealedOracle(10_00, reserve, name == "sealed_second_price", quantity)
    for round_ in range(5):
        for auction, oracle in auctions.items():
            who, amount = dice.choice(bidders), 9_90 + dice.randrange(0, 400, 20)
            wanted = dice.randint(1, oracle.units)
            call = market.call(
                "place_bid", who, auction_id=auction, amount=amount, quantity=wanted, key=f"{auction}{round_}"
            )
            (answer,) = await asyncio.gather(call, return_exceptions=True)
            outcome = answer.code if isinstance(answer, Refusal) else answer.outcome
            assert oracle.bid(str(who.id), amount, wanted) == outcome
    await close(market, *auctions)
    for auction, oracle in auctions.items():
        got, price = oracle.deal()
        closed = (await market.auction_events(auction))[-1]
        assert (closed["outcome"], closed["price"]) == ("sold" if got else "unsold", price)
        if got:
            assert shares(closed) == [(units, price) for units in got.values()]
    assert await assert_replays(market.pool, list(auctions)) == 40
    await assert_audited(market, list(auctions))
