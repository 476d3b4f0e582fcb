"""The exposure guard on real PostgreSQL: never over the limit, and what is used is what leads, whatever happens."""

import asyncio
import random
from contextlib import suppress

import msgspec
import pytest

from handlers.auctions.guard_rules import default_limit
from handlers.auctions.rules import CLOSE_GRACE_MS
from handlers.contract import Caller
from protocols.auctions.guards import ExposureExceeded
from protocols.auctions.refusals import AuctionNotLive, BidTooLow, UnitsReduced
from protocols.auth.refusals import UserNotFound
from protocols.errors import InvalidInput, NotAllowed, Refusal
from protocols.values import new_id, now_instant
from server.commands.idempotency import Answer
from tests.integration.auctions.conftest import HOUR_MS, moment, new_caller, new_user
from tests.integration.auctions.replay import assert_audited, assert_replays
from tests.integration.auctions.test_units import bid as bid_units
from tests.integration.auctions.test_units import new_lot

LEADING = """
SELECT coalesce(p.bidder_id, a.leader_id), a.currency, sum(coalesce(p.amount * p.quantity, a.leader_max))::bigint
FROM auctions AS a LEFT JOIN auction_places AS p USING (auction_id)
WHERE a.exposure_guard AND a.status IN ('scheduled', 'live') AND a.leader_id IS NOT NULL GROUP BY 1, 2
"""


async def give_limit(market, user, limit, currency="EUR"):
    await market.pool.execute(
        "INSERT INTO exposures (user_id, currency, limit_minor) VALUES ($1, $2, $3)", user.id, currency, limit
    )


async def assert_sound(market):
    """Everybody's use is the sum recomputed from the auctions, and nobody is over a limit."""
    leading = {(row[0], row[1]): row[2] for row in await market.pool.fetch(LEADING)}
    kept = await market.pool.fetch("SELECT user_id, currency, used, limit_minor FROM exposures")
    assert {(row[0], row[1]): row[2] for row in kept if row[2]} == leading
    assert all(row["used"] <= (default_limit(2) if row[3] is None else row[3]) for row in kept)


async def used_of(market, user, currency="EUR"):
    return (await market.call("get_exposure", user, currency=currency)).used


async def test_a_bid_beyond_what_is_free_is_refused_and_says_what_is_free(market, seller, ann):
    first, second = [await market.new_auction(seller, exposure_guard=True) for _ in range(2)]
    await give_limit(market, ann, 100_00)
    await market.bid_now(first, ann, 60_00)
    with pytest.raises(ExposureExceeded) as refused:
        await market.bid_now(second, ann, 40_01)
    assert refused.value.facts == {"limit": 100_00, "used": 60_00, "free": 40_00}
    await market.bid_now(second, ann, 40_00)
    seen = await market.call("get_exposure", ann, currency="EUR")
    assert (seen.limit, seen.used, seen.free, seen.is_default) == (100_00, 100_00, 0, False)
    assert len(await market.auction_events(second)) == 2
    shown = await market.call("get_auction", auction_id=first)
    assert shown.exposure_guard
    assert (await market.auction_events(first))[0]["exposure_guard"] is True
    await assert_sound(market)


async def test_a_raise_of_the_own_maximum_needs_the_difference_alone(market, seller, ann):
    auction = await market.new_auction(seller, exposure_guard=True)
    await give_limit(market, ann, 100_00)
    await market.bid_now(auction, ann, 60_00)
    with pytest.raises(ExposureExceeded):
        await market.bid_now(auction, ann, 100_01)
    await market.bid_now(auction, ann, 100_00)
    assert await used_of(market, ann) == 100_00


async def test_a_bid_has_to_be_covered_also_where_it_does_not_come_to_lead(market, seller, ann, bob):
    auction = await market.new_auction(seller, exposure_guard=True)
    await market.bid_now(auction, ann, 500_00)
    await give_limit(market, bob, 100_00)
    with pytest.raises(ExposureExceeded):
        await market.bid_now(auction, bob, 400_00)
    assert (await market.bid_now(auction, bob, 100_00)).outcome == "outbid"
    assert await used_of(market, bob) == 0


async def test_being_outbid_frees_within_the_same_batch(market, seller, ann, bob):
    first, second = [await market.new_auction(seller, exposure_guard=True) for _ in range(2)]
    await give_limit(market, ann, 100_00)
    await market.bid_now(first, ann, 100_00)
    batch = [(second, ann, 90_00), (first, bob, 200_00), (second, ann, 100_00)]
    answers = await asyncio.gather(*(market.bid(*one) for one in batch), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ExposureExceeded, Answer, Answer]
    assert (await used_of(market, ann), await used_of(market, bob)) == (100_00, 200_00)
    await assert_sound(market)


@pytest.mark.parametrize("ending", ["cancelled", "sold", "unsold", "bought", "retracted"])
async def test_every_ending_frees_what_the_auction_held(market, seller, ann, bob, ending):
    end = now_instant() + 20 * HOUR_MS
    reserve = {"reserve_price": 99_00} if ending == "unsold" else {}
    auction = await market.new_auction(
        seller, exposure_guard=True, ends_at=moment(end), buy_now_price=200_00, **reserve
    )
    receipt = await market.bid_now(auction, ann, 80_00)
    assert await used_of(market, ann) == 80_00
    if ending == "cancelled":
        await market.call("cancel_auction", seller, auction_id=auction)
    elif ending == "bought":
        await give_limit(market, bob, 199_99)
        with pytest.raises(ExposureExceeded):
            await market.call("buy_now", bob, auction_id=auction, key="k")
        await market.pool.execute("UPDATE exposures SET limit_minor = 20000 WHERE user_id = $1", bob.id)
        await market.call("buy_now", bob, auction_id=auction, key="k")
    elif ending == "retracted":
        await market.call("retract_bid", ann, auction_id=auction, bid_id=receipt.bid_id)
    else:
        market.clock_ms = end + CLOSE_GRACE_MS
        await market.run_timers()
        assert (await market.row(auction))["status"] == ending
    assert (await used_of(market, ann), await used_of(market, bob)) == (0, 0)
    await assert_sound(market)


async def test_a_dutch_purchase_has_to_be_covered(market, seller, ann):
    await give_limit(market, ann, 9_99)
    fall = {"floor_price": 1_00, "step": 1, "tick_s": 60}
    auction = await market.new_auction(seller, format="dutch", dutch=fall, exposure_guard=True)
    with pytest.raises(ExposureExceeded):
        await market.bid_now(auction, ann, 20_00)
    with pytest.raises(ExposureExceeded):
        await market.call("buy_now", ann, auction_id=auction, key="k")
    market.clock_ms = now_instant() + 60_000
    assert (await market.bid_now(auction, ann, 20_00)).price == 9_99
    assert await used_of(market, ann) == 0


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"format": "sealed_first_price"}, "would tell what they bid"),
        ({"format": "sealed_second_price", "quantity": 2}, "would tell what they bid"),
        ({"format": "reverse"}, "are paid"),
    ],
)
async def test_where_a_guard_makes_no_sense_the_refusal_says_why(market, seller, terms, why):
    with pytest.raises(InvalidInput, match=why) as refused:
        await market.new_auction(seller, exposure_guard=True, **terms)
    assert [error["pointer"] for error in refused.value.facts["errors"]] == ["/exposure_guard"]


async def test_a_bid_for_several_units_counts_in_full_while_it_gets_one(market, seller, ann, bob):
    auction = await new_lot(market, seller, 3, exposure_guard=True)
    await give_limit(market, ann, 60_00)
    with pytest.raises(ExposureExceeded) as refused:
        await bid_units(market, auction, ann, 20_01, 3)
    assert refused.value.facts == {"limit": 60_00, "used": 0, "free": 60_00}
    await bid_units(market, auction, ann, 20_00, 3)
    await bid_units(market, auction, bob, 30_00, 2)
    assert (await used_of(market, ann), await used_of(market, bob)) == (60_00, 60_00), "Ann gets one of three"
    with pytest.raises(ExposureExceeded):
        await bid_units(market, auction, ann, 20_01, 3)
    await bid_units(market, auction, bob, 30_01, 3)
    assert (await used_of(market, ann), await used_of(market, bob)) == (0, 90_03)
    await assert_sound(market)
    await market.call("cancel_auction", seller, auction_id=auction)
    assert await used_of(market, bob) == 0


async def test_of_several_who_would_get_units_again_those_go_that_nothing_covers(market, seller, ann, bob):
    """Bob retracts; of the three who would share his units Ann leads elsewhere with what she had here."""
    cat, dan = new_caller(), new_caller()
    auction, elsewhere = (
        await new_lot(market, seller, 3, exposure_guard=True),
        await new_lot(market, seller, 1, exposure_guard=True),
    )
    await give_limit(market, ann, 100_00)
    await bid_units(market, auction, dan, 11_00)
    await bid_units(market, auction, ann, 12_00)
    await bid_units(market, auction, cat, 13_00)
    receipt = await bid_units(market, auction, bob, 50_00, 3)
    await market.bid_now(elsewhere, ann, 90_00)
    await market.call("retract_bid", bob, auction_id=auction, bid_id=receipt.bid_id)
    places = await market.pool.fetch(
        "SELECT bidder_id FROM auction_places WHERE auction_id = $1 ORDER BY place", auction
    )
    assert [row["bidder_id"] for row in places] == [cat.id, dan.id]
    events = (await market.auction_events(auction))[-2:]
    assert [(e["type"], e.get("reason")) for e in events] == [
        ("bid_retracted", None),
        ("bid_retracted", "not_covered"),
    ]
    assert [e["type"] for e in await market.personal_events(ann)] == ["outbid", "bids_taken_back"]
    assert [e["type"] for e in await market.personal_events(dan)] == ["outbid", "leading_again"]
    await assert_sound(market)
    assert await assert_replays(market.pool, [auction]) == 1
    await assert_audited(market, [auction])


async def test_a_bid_that_would_lead_again_goes_when_nothing_covers_it_any_more(market, seller, ann, bob):
    """Bob retracts; Ann, whom he had outbid, leads elsewhere with all she has by then."""
    cat = new_caller()
    auction, elsewhere = [await market.new_auction(seller, exposure_guard=True) for _ in range(2)]
    await give_limit(market, ann, 100_00)
    await market.bid_now(auction, cat, 30_00)
    await market.bid_now(auction, ann, 40_00)
    await market.bid_now(auction, ann, 90_00)
    receipt = await market.bid_now(auction, bob, 500_00)
    await market.bid_now(elsewhere, ann, 55_00)
    answer = await market.call("retract_bid", bob, auction_id=auction, bid_id=receipt.bid_id)
    row = await market.row(auction)
    assert (row["leader_id"], row["leader_max"], row["bid_count"]) == (ann.id, 40_00, 2)
    assert (answer.bid_count, answer.price, answer.offset) == (2, row["price"], row["event_number"])
    events = (await market.auction_events(auction))[-2:]
    assert [(e["type"], e.get("reason"), e["retracted"]) for e in events] == [
        ("bid_retracted", None, 1),
        ("bid_retracted", "not_covered", 1),
    ]
    told = [e["type"] for e in await market.personal_events(ann)]
    assert told == ["outbid", "bids_taken_back", "leading_again"]
    assert await used_of(market, ann) == 95_00
    await assert_sound(market)
    assert await assert_replays(market.pool, [auction, elsewhere]) == 2
    await assert_audited(market, [auction, elsewhere])


async def test_uncovered_bids_give_way_until_somebody_is_covered(market, seller, ann, bob):
    cat = new_caller()
    auction, elsewhere = [await market.new_auction(seller, exposure_guard=True) for _ in range(2)]
    for who in (ann, cat):
        await give_limit(market, who, 100_00)
    await market.bid_now(auction, cat, 70_00)
    await market.bid_now(auction, ann, 90_00)
    receipt = await market.bid_now(auction, bob, 500_00)
    await market.bid_now(elsewhere, ann, 60_00)
    await market.bid_now(elsewhere, cat, 61_00)
    await market.bid_now(elsewhere, ann, 99_00)
    await market.call("retract_bid", bob, auction_id=auction, bid_id=receipt.bid_id)
    row = await market.row(auction)
    assert (row["leader_id"], row["price"], row["bid_count"]) == (cat.id, 10_00, 1)
    assert [e["type"] for e in await market.personal_events(ann)][-1] == "bids_taken_back"
    await assert_sound(market)
    await assert_audited(market, [auction])


async def test_one_wallet_in_two_hundred_auctions_from_two_processes_never_overshoots(
    market, second_market, seller
):
    listings = await market.new_listings(seller, 200)
    auctions = [(await market.open(seller, listing, exposure_guard=True)).id for listing in listings]
    wallet = new_caller()
    await give_limit(market, wallet, 1_000_00)
    bids = [
        (market, second_market)[n % 2].bid(auction, wallet, 30_00, f"{attempt}-{n}")
        for attempt in range(2)
        for n, auction in enumerate(auctions)
    ]
    answers = await asyncio.gather(*bids, return_exceptions=True)
    assert {type(answer) for answer in answers} <= {Answer, BidTooLow, ExposureExceeded}
    assert sum(isinstance(answer, Answer) for answer in answers) == 33
    assert await used_of(market, wallet) == 990_00
    await assert_sound(market)


async def test_two_first_bids_of_a_new_user_at_once_both_count(market, second_market, seller):
    """Neither process finds a row of the user; one of them makes it, and the other one waits for it."""
    auctions = [await market.new_auction(seller, exposure_guard=True) for _ in range(2)]
    for _ in range(10):
        user = new_caller()
        amount = default_limit(2) // 2 + 1
        answers = await asyncio.gather(
            market.bid(auctions[0], user, amount),
            second_market.bid(auctions[1], user, amount),
            return_exceptions=True,
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["Answer", "ExposureExceeded"]
        auctions = [await market.new_auction(seller, exposure_guard=True) for _ in range(2)]
    await assert_sound(market)


async def test_a_storm_of_everything_from_two_processes_stays_sound(market, second_market, seller):
    """Bids of forty users on sixty auctions, a third of several units, half guarded; with all that takes bids away."""
    dice = random.Random(20_261_124)
    listings = await market.new_listings(seller, 60)
    await market.pool.execute("UPDATE listings SET quantity = 3 WHERE listing_id = ANY($1)", listings)
    several = set(range(0, 60, 3))
    opened = [
        await market.open(
            seller,
            listing,
            exposure_guard=n % 2 == 0,
            **({"quantity": 3} if n in several else {"buy_now_price": 250_00}),
        )
        for n, listing in enumerate(listings)
    ]
    auctions = [auction.id for auction in opened]
    units = {auctions[n]: 3 for n in several}
    users = [new_caller() for _ in range(40)]
    for user in users:
        await give_limit(market, user, dice.choice([50_00, 150_00, 400_00]))
    receipts = []

    async def bid(process, auction, user, amount):
        with suppress(BidTooLow, ExposureExceeded, AuctionNotLive, UnitsReduced):
            quantity = dice.randint(1, units.get(auction, 1))
            answer = await process.bid(auction, user, amount, quantity=quantity)
            receipts.append((auction, user, msgspec.json.decode(answer.body)["bid_id"]))

    async def rare(process):
        kind, auction = dice.random(), dice.choice(auctions)
        with suppress(Refusal):
            if kind < 0.7 and receipts:
                place, user, bid_id = dice.choice(receipts)
                await process.call("retract_bid", user, auction_id=place, bid_id=bid_id)
            elif kind < 0.85:
                await process.call("buy_now", dice.choice(users), auction_id=auction, key=str(new_id()))
            else:
                await process.call("cancel_auction", seller, auction_id=auction)

    for _ in range(12):
        work = [
            bid(dice.choice([market, second_market]), dice.choice(auctions), dice.choice(users), amount)
            for amount in (dice.randrange(10_00, 200_00) for _ in range(120))
        ]
        work += [rare(dice.choice([market, second_market])) for _ in range(6)]
        dice.shuffle(work)
        await asyncio.gather(*work)
        await assert_sound(market)
    assert len(receipts) > 150
    taken = await market.pool.fetchval(
        "SELECT count(*) FROM events WHERE type = 'bid_retracted' AND data->>'reason' = 'not_covered'"
    )
    assert taken > 0
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await market.pool.fetchval(deadlocks) == 0
    assert await assert_replays(market.pool, auctions) == len(auctions)
    await assert_audited(market, auctions)


async def test_support_sets_a_limit_and_the_user_hears_of_it(market, seller, ann):
    user = await new_user(market)
    support = Caller(user_id=new_id(), roles=frozenset({"user", "support"}))
    auction = await market.new_auction(seller, exposure_guard=True)
    await market.bid_now(auction, user, 80_00)
    fields = {"user_id": user.id, "currency": "EUR"}
    with pytest.raises(NotAllowed):
        await market.call("set_exposure_limit", ann, **fields, limit=1)
    lowered = await market.call("set_exposure_limit", support, **fields, limit=50_00)
    assert (lowered.limit, lowered.used, lowered.free) == (50_00, 80_00, 0)
    assert (await market.row(auction))["leader_id"] == user.id
    (told,) = await market.personal_events(user)
    assert (told["type"], told["limit"], told["free"]) == ("exposure_limit_changed", 50_00, 0)
    again = await market.call("set_exposure_limit", support, **fields)
    assert (again.limit, again.is_default) == (default_limit(2), True)
    with pytest.raises(UserNotFound):
        await market.call("set_exposure_limit", support, user_id=new_id(), currency="EUR", limit=1)
    for verb, who, more in (("set_exposure_limit", support, {"user_id": user.id}), ("get_exposure", ann, {})):
        with pytest.raises(InvalidInput):
            await market.call(verb, who, currency="XXX", **more)


async def test_an_auction_without_a_guard_costs_no_round_trip_more(market, seller, ann, monkeypatch):
    auction = await market.new_auction(seller)
    await market.bid_now(auction, ann, 20_00)

    async def fail(*_):
        raise AssertionError("an unguarded auction asked for exposures or standings")

    monkeypatch.setattr("handlers.auctions.guards.admission.lock_exposures_of", fail)
    monkeypatch.setattr("handlers.auctions.guards.admission.find_standings", fail)
    monkeypatch.setattr("handlers.auctions.locking.change_used", fail)
    await market.bid_now(auction, new_caller(), 30_00)
