"""What auctions state for other domains, and what they have logged: once per ending, whichever way it came."""

import msgspec
import pytest

from handlers.auctions.rules import CLOSE_GRACE_MS
from protocols.auctions.facts import AuctionSettled, SecondChanceSold, Winner
from protocols.ledger.leaves import hash_user
from protocols.values import new_id
from tests.integration.auctions.conftest import HOUR_MS, moment, new_caller
from tests.integration.auctions.test_second_chances import BIDS, accept, close_with_bids, offer
from tests.integration.auctions.test_units import bid as bid_units
from tests.integration.auctions.test_units import new_lot

TYPES = {"auction_settled": AuctionSettled, "second_chance_sold": SecondChanceSold}


async def facts_about(market, auction):
    rows = await market.pool.fetch(
        "SELECT number, type, data FROM events WHERE stream = $1 ORDER BY number", f"facts:auctions:{auction}"
    )
    assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
    facts = [msgspec.json.decode(row["data"], type=TYPES[row["type"]]) for row in rows]
    await assert_logged(market, auction, facts)
    return facts


async def assert_logged(market, auction, facts):
    """Compare the leaves about an auction with the facts about it: one for each winner, or one without."""
    row = await market.row(auction)
    wanted = []
    for fact in facts:
        sale = isinstance(fact, SecondChanceSold)
        outcome, winners = ("second_chance", [fact.winner]) if sale else (fact.outcome, fact.winners)
        for winner in winners or [None]:
            price = winner.price_minor if winner else row["price"]
            wanted.append(
                (
                    outcome,
                    price,
                    row["bid_count"],
                    winner and winner.user_id,
                    winner.quantity if winner else 0,
                )
            )
    found = []
    for queued in await market.pool.fetch("SELECT leaf, parties FROM ledger_queue ORDER BY queue_id"):
        said = dict(line.split(" ") for line in queued["leaf"].decode().splitlines()[1:])
        if said.get("auction") == str(auction):
            seller_id, winner_id = [*queued["parties"], None][:2]
            assert seller_id == row["seller_id"]
            hashed = hash_user(bytes.fromhex(said["salt"]), winner_id) if winner_id else "none"
            assert said["winner"] == hashed
            numbers = [int(said[name]) for name in ("price", "bids", "units")]
            found.append((said["outcome"], *numbers[:2], winner_id, numbers[2]))
    assert found == wanted


def settled(auction, listing_id, seller, outcome="sold", **fields):
    return AuctionSettled(
        auction_id=auction,
        listing_id=listing_id,
        seller_id=seller.id,
        is_reverse=fields.pop("is_reverse", False),
        outcome=outcome,
        currency="EUR",
        winners=fields.pop("winners", ()),
    )


async def listing_of(market, auction):
    return (await market.row(auction))["listing_id"]


async def test_a_sale_by_the_clock_and_a_second_chance_after_it(market, seller):
    bidders = [new_caller() for _ in BIDS]
    auction = await close_with_bids(market, seller, bidders)
    listing_id = await listing_of(market, auction)
    price = (await market.row(auction))["price"]
    winner = Winner(user_id=bidders[3].id, quantity=1, price_minor=price)
    assert await facts_about(market, auction) == [settled(auction, listing_id, seller, winners=(winner,))]
    made = await offer(market, seller, auction)
    await accept(market, bidders[2], made)
    (_, sold) = await facts_about(market, auction)
    assert sold == SecondChanceSold(
        auction_id=auction,
        listing_id=listing_id,
        seller_id=seller.id,
        is_reverse=False,
        offer_id=made.id,
        currency="EUR",
        winner=Winner(user_id=bidders[2].id, quantity=1, price_minor=41_00),
    )
    await market.run_timers()
    assert len(await facts_about(market, auction)) == 2


@pytest.mark.parametrize(
    "way", ["buy_now", "end_early", "cancel_auction", "dutch", "dutch buy_now", "nobody"]
)
async def test_every_other_end_is_stated_once(market, seller, way):
    buyer = new_caller()
    end = market.now_ms() + HOUR_MS
    terms = {"buy_now_price": 90_00} if way == "buy_now" else {}
    if "dutch" in way:
        terms = {"format": "dutch", "dutch": {"floor_price": 1, "step": 1, "tick_s": 60}}
    auction = await market.new_auction(seller, ends_at=moment(end), **terms)
    listing_id = await listing_of(market, auction)
    if "buy_now" in way:
        await market.call("buy_now", buyer, auction_id=auction, key=str(new_id()))
    elif way == "end_early":
        await market.bid_now(auction, buyer, 20_00)
        await market.call(way, seller, auction_id=auction)
    elif way == "cancel_auction":
        await market.call(way, seller, auction_id=auction)
    elif way == "dutch":
        await market.bid_now(auction, buyer, 10_00)
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    outcome = {"cancel_auction": "cancelled", "nobody": "unsold"}.get(way, "sold")
    price = (await market.row(auction))["price"]
    winner = Winner(user_id=buyer.id, quantity=1, price_minor=price)
    winners = (winner,) if outcome == "sold" else ()
    assert await facts_about(market, auction) == [
        settled(auction, listing_id, seller, outcome, winners=winners)
    ]
    assert f"facts:auctions:{auction}" not in {channel for channel, _ in market.published}


async def test_every_winner_of_several_units_is_named_with_what_they_got(market, seller):
    first, second = new_caller(), new_caller()
    auction = await new_lot(market, seller, quantity=3)
    await bid_units(market, auction, first, 20_00, 2)
    await bid_units(market, auction, second, 15_00, 2)
    market.clock_ms = (await market.row(auction))["ends_at_ms"] + CLOSE_GRACE_MS
    await market.run_timers()
    ((fact),) = await facts_about(market, auction)
    got = [(winner.user_id, winner.quantity) for winner in fact.winners]
    assert got == [(first.id, 2), (second.id, 1)]
    assert len({winner.price_minor for winner in fact.winners}) == 1


async def test_the_winner_of_a_reverse_auction_supplies(market, seller):
    supplier = new_caller()
    end = market.now_ms() + HOUR_MS
    auction = await market.new_auction(seller, format="reverse", starting_price=50_00, ends_at=moment(end))
    await market.bid_now(auction, supplier, 40_00)
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    (fact,) = await facts_about(market, auction)
    assert (fact.is_reverse, fact.seller_id, fact.winners[0].user_id) == (True, seller.id, supplier.id)
