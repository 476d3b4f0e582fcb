"""Second-chance offers through the pipeline: who is told what, one accept wins, nothing is told twice."""

import asyncio

import msgspec
import pytest

from handlers.auctions.rules import CLOSE_GRACE_MS
from handlers.auctions.second_chances.rules import WINDOW_MS
from protocols.auctions.guards import ExposureExceeded
from protocols.auctions.refusals import AuctionNotFound
from protocols.auctions.second_chances import (
    SecondChanceNotFound,
    SecondChanceNotOpen,
    SecondChanceUnavailable,
)
from protocols.errors import InvalidInput, KeyRequired, NotAllowed
from protocols.values import new_id, now_instant
from tests.integration.auctions.conftest import HOUR_MS, moment, new_caller
from tests.integration.auctions.test_units import bid as bid_units
from tests.integration.auctions.test_units import new_lot

BIDS = (20_00, 41_00, 33_00, 77_00)


async def close_with_bids(market, seller, bidders, **terms):
    """An auction of these bidders' bids, closed; returns its id."""
    end = market.now_ms() + HOUR_MS
    auction = await market.new_auction(seller, ends_at=moment(end), **terms)
    for who, amount in zip(bidders, sorted(BIDS), strict=False):
        await market.bid_now(auction, who, amount)
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    return auction


async def offer(market, seller, auction, **fields):
    return await market.call(
        "offer_second_chance", seller, auction_id=auction, key=str(new_id()), **({"nth": 1} | fields)
    )


async def accept(market, who, made):
    return await market.call("accept_second_chance", who, offer_id=made.id, key=str(new_id()))


async def told_of(market, who):
    return [e for e in await market.personal_events(who) if e["type"].startswith("second_chance")]


async def test_the_runner_up_alone_learns_the_price_until_it_is_accepted(market, seller):
    bidders = [new_caller() for _ in BIDS]
    auction = await close_with_bids(market, seller, bidders)
    runner_up = bidders[2]
    made = await offer(market, seller, auction)
    assert (made.status, made.price, made.buyer_id) == ("open", None, None)
    (told,) = await told_of(market, runner_up)
    assert (told["type"], told["price"], told["offer_id"]) == ("second_chance_offered", 41_00, str(made.id))
    (seen,) = (await market.call("list_second_chances", runner_up)).items
    assert seen.price == 41_00
    (own,) = (await market.call("list_second_chances", seller, role="seller")).items
    assert own == made
    public = await market.pool.fetch(
        "SELECT data FROM events WHERE data::text LIKE '%4100%' AND stream <> $1", f"personal:#{runner_up.id}"
    )
    assert public == []
    for stranger in (bidders[0], bidders[3]):
        assert (await market.call("list_second_chances", stranger)).items == []
        for verb in ("accept_second_chance", "decline_second_chance", "withdraw_second_chance"):
            with pytest.raises(SecondChanceNotFound):
                await market.call(
                    verb, stranger, offer_id=made.id, **({"key": "k"} if "accept" in verb else {})
                )
    bought = await accept(market, runner_up, made)
    assert (bought.status, bought.price, bought.buyer_id) == ("accepted", 41_00, runner_up.id)
    (own,) = (await market.call("list_second_chances", seller, role="seller")).items
    assert (own.price, own.buyer_id) == (41_00, runner_up.id)
    for who in (seller, runner_up):
        last = (await told_of(market, who))[-1]
        assert (last["status"], last["price"], last["buyer_id"]) == ("accepted", 41_00, str(runner_up.id))
    before = await market.auction_events(auction)
    assert before[-1]["type"] == "auction_closed"


async def test_of_many_accepts_of_one_piece_exactly_one_wins(market, second_market, seller):
    bidders = [new_caller() for _ in BIDS]
    auction = await close_with_bids(market, seller, bidders)
    made = [await offer(market, seller, auction, nth=nth) for nth in (1, 2, 3)]
    pairs = list(zip(reversed(bidders[:3]), made, strict=True))
    results = await asyncio.gather(
        *(
            (market, second_market)[n % 2].call("accept_second_chance", who, offer_id=one.id, key=f"k{n}")
            for n, (who, one) in enumerate(pairs)
        ),
        return_exceptions=True,
    )
    kinds = sorted(type(result).__name__ for result in results)
    assert kinds == ["SecondChance", "SecondChanceNotOpen", "SecondChanceNotOpen"]
    listed = (await market.call("list_second_chances", seller, role="seller")).items
    assert sorted(one.status for one in listed) == ["accepted", "withdrawn", "withdrawn"]
    for who, _ in pairs:
        assert len(await told_of(market, who)) == 2
    assert len(await told_of(market, seller)) == 3
    with pytest.raises(SecondChanceUnavailable, match="has accepted"):
        await offer(market, seller, auction)


async def test_an_offer_expires_at_its_instant_and_once(market, seller):
    bidders = [new_caller() for _ in BIDS]
    auction = await close_with_bids(market, seller, bidders)
    made = await offer(market, seller, auction, expires_in_s=3_600)
    market.clock_ms += 3_600_000 - 1
    await market.run_timers()
    assert len(await told_of(market, seller)) == 0
    market.clock_ms += 1
    with pytest.raises(SecondChanceNotOpen, match="expired"):
        await accept(market, bidders[2], made)
    await market.run_timers()
    await market.pool.execute(
        "INSERT INTO timers (due_at_ms, kind, ref) VALUES (0, 'expire_second_chance', $1), (0, $2, $3)",
        made.id,
        "expire_second_chance",
        new_id(),
    )
    await market.run_timers()
    for who in (seller, bidders[2]):
        assert [e.get("status") for e in await told_of(market, who)][-1:] == ["expired"]
    assert len(await told_of(market, seller)) == 1


async def test_declined_and_withdrawn_offers_are_over_and_told_to_both(market, seller):
    bidders = [new_caller() for _ in BIDS]
    auction = await close_with_bids(market, seller, bidders)
    first, second = await offer(market, seller, auction), await offer(market, seller, auction, nth=2)
    assert (await market.call("decline_second_chance", bidders[2], offer_id=first.id)).status == "declined"
    assert (await market.call("withdraw_second_chance", seller, offer_id=second.id)).status == "withdrawn"
    for made, who in ((first, bidders[2]), (second, bidders[1])):
        with pytest.raises(SecondChanceNotOpen):
            await accept(market, who, made)
        with pytest.raises(SecondChanceNotOpen):
            await market.call("withdraw_second_chance", seller, offer_id=made.id)
        assert [e["type"] for e in await told_of(market, who)] == [
            "second_chance_offered",
            "second_chance_changed",
        ]
        assert (await told_of(market, who))[-1]["price"] is None
    with pytest.raises(SecondChanceUnavailable, match="has had"):
        await offer(market, seller, auction)
    statuses = {"declined": 1, "withdrawn": 1, "open": 0}
    for status, count in statuses.items():
        page = await market.call("list_second_chances", seller, role="seller", status=status)
        assert len(page.items) == count


async def test_an_unmet_reserve_lets_the_highest_bidder_have_the_piece(market, seller):
    bidders = [new_caller() for _ in BIDS]
    auction = await close_with_bids(market, seller, bidders, reserve_price=500_00)
    row = await market.row(auction)
    assert row["status"] == "unsold"
    made = await offer(market, seller, auction)
    rival = await offer(market, seller, auction, nth=2)
    assert (await accept(market, bidders[3], made)).price == 77_00
    status = "SELECT status FROM listings WHERE listing_id = $1"
    assert await market.pool.fetchval(status, row["listing_id"]) == "sold"
    with pytest.raises(SecondChanceNotOpen):
        await accept(market, bidders[2], rival)


async def test_another_piece_is_sold_as_long_as_there_are_some(market, seller):
    bidders = [new_caller() for _ in BIDS]
    auction = await close_with_bids(market, seller, bidders)
    listing = (await market.row(auction))["listing_id"]
    with pytest.raises(SecondChanceUnavailable, match="no piece left"):
        await offer(market, seller, auction, another_piece=True)
    restock = "UPDATE listings SET quantity = 1, status = 'active' WHERE listing_id = $1"
    await market.pool.execute(restock, listing)
    made = [await offer(market, seller, auction, nth=nth, another_piece=True) for nth in (1, 2)]
    assert (await accept(market, bidders[2], made[0])).another_piece
    with pytest.raises(SecondChanceNotOpen, match="not for sale"):
        await accept(market, bidders[1], made[1])
    await market.pool.execute(restock, listing)
    await market.open(seller, listing, ends_at=moment(market.now_ms() + HOUR_MS))
    with pytest.raises(SecondChanceNotOpen, match="another auction"):
        await accept(market, bidders[1], made[1])
    assert (
        await market.pool.fetchval("SELECT status FROM listings WHERE listing_id = $1", listing) == "active"
    )


async def test_an_opened_sealed_bid_gets_an_offer_and_a_dutch_auction_has_nobody(market, seller, ann, bob):
    end = now_instant() + HOUR_MS
    sealed = await market.new_auction(seller, format="sealed_second_price", ends_at=moment(end))
    await market.bid_now(sealed, ann, 90_00)
    await market.bid_now(sealed, ann, 30_00)
    await market.bid_now(sealed, bob, 50_00)
    dutch = await market.new_auction(
        seller, format="dutch", dutch={"floor_price": 1_00, "step": 1, "tick_s": 60}, ends_at=moment(end)
    )
    await market.bid_now(dutch, ann, 20_00)
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    await offer(market, seller, sealed)
    assert (await told_of(market, ann))[0]["price"] == 30_00
    with pytest.raises(SecondChanceUnavailable, match="ends with its first bid"):
        await offer(market, seller, dutch)


async def test_a_bidder_is_named_by_a_bid_at_the_own_best_one(market, seller, ann, bob):
    end = now_instant() + HOUR_MS
    auction = await market.new_auction(seller, ends_at=moment(end))
    low = await market.bid_now(auction, ann, 20_00)
    await market.bid_now(auction, ann, 30_00)
    won = await market.bid_now(auction, bob, 90_00)
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    for bid_id in (won.bid_id, new_id()):
        with pytest.raises(SecondChanceUnavailable):
            await offer(market, seller, auction, nth=None, bid_id=bid_id)
    await offer(market, seller, auction, nth=None, bid_id=low.bid_id)
    assert (await told_of(market, ann))[0]["price"] == 30_00


async def test_offers_are_for_the_seller_within_sixty_days_and_need_a_key(market, seller, ann):
    bidders = [new_caller() for _ in BIDS]
    auction = await close_with_bids(market, seller, bidders)
    live = await market.new_auction(seller)
    with pytest.raises(NotAllowed):
        await offer(market, ann, auction)
    with pytest.raises(AuctionNotFound):
        await offer(market, seller, new_id())
    with pytest.raises(SecondChanceUnavailable):
        await offer(market, seller, live)
    for fields in ({"nth": None}, {"nth": 1, "bid_id": new_id()}):
        with pytest.raises(InvalidInput):
            await offer(market, seller, auction, **fields)
    for expires_in_s in (3_599, 604_801):
        with pytest.raises(msgspec.ValidationError):
            await offer(market, seller, auction, expires_in_s=expires_in_s)
    with pytest.raises(KeyRequired):
        await market.call("offer_second_chance", seller, auction_id=auction, nth=1)
    closed_ms = market.clock_ms
    market.clock_ms = closed_ms + WINDOW_MS + 1
    with pytest.raises(SecondChanceUnavailable, match="sixty days"):
        await offer(market, seller, auction)
    market.clock_ms = closed_ms + WINDOW_MS
    key = str(new_id())
    first = await market.call("offer_second_chance", seller, auction_id=auction, nth=1, key=key)
    again = await market.call("offer_second_chance", seller, auction_id=auction, nth=1, key=key)
    assert first == again
    assert len(await told_of(market, bidders[2])) == 1


async def test_an_accept_in_a_guarded_auction_has_to_be_covered(market, seller):
    bidders = [new_caller() for _ in BIDS]
    auction = await close_with_bids(market, seller, bidders, exposure_guard=True)
    made = await offer(market, seller, auction)
    limit = "UPDATE exposures SET limit_minor = $2 WHERE user_id = $1"
    await market.pool.execute(limit, bidders[2].id, 40_99)
    with pytest.raises(ExposureExceeded):
        await accept(market, bidders[2], made)
    await market.pool.execute(limit, bidders[2].id, 41_00)
    assert (await accept(market, bidders[2], made)).status == "accepted"


async def test_the_job_of_a_reverse_auction_goes_to_the_next_lowest_at_their_own_price(market, seller):
    bidders = [new_caller() for _ in BIDS]
    end = market.now_ms() + HOUR_MS
    auction = await market.new_auction(seller, format="reverse", starting_price=90_00, ends_at=moment(end))
    for who, amount in zip(bidders, sorted(BIDS, reverse=True), strict=True):
        await market.bid_now(auction, who, amount)
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    listing = (await market.row(auction))["listing_id"]
    with pytest.raises(SecondChanceUnavailable, match="one job"):
        await offer(market, seller, auction, another_piece=True)
    won = (await market.call("list_bids", auction_id=auction)).items[0]
    with pytest.raises(SecondChanceUnavailable, match="got the auction"):
        await offer(market, seller, auction, nth=None, bid_id=won.bid_id)
    made = [await offer(market, seller, auction, nth=nth) for nth in (1, 2)]
    assert [(await told_of(market, who))[0]["price"] for who in bidders[1:3]] == [41_00, 33_00]
    again = (await market.open(seller, listing, format="reverse")).id
    with pytest.raises(SecondChanceNotOpen, match="another auction"):
        await accept(market, bidders[2], made[0])
    await market.call("cancel_auction", seller, auction_id=again)
    await market.pool.execute("UPDATE listings SET status = 'withdrawn' WHERE listing_id = $1", listing)
    with pytest.raises(SecondChanceNotOpen, match="not wanted"):
        await accept(market, bidders[2], made[0])
    await market.pool.execute("UPDATE listings SET status = 'active' WHERE listing_id = $1", listing)
    assert (await accept(market, bidders[2], made[0])).price == 33_00
    stock = await market.pool.fetchrow("SELECT status, quantity FROM listings WHERE listing_id = $1", listing)
    assert tuple(stock) == ("active", 1), "nothing of the opener's is sold"
    with pytest.raises(SecondChanceNotOpen):
        await accept(market, bidders[1], made[1])


async def close_lot(market, lot):
    market.clock_ms = int((await market.row(lot))["ends_at_ms"]) + CLOSE_GRACE_MS
    await market.run_timers()


async def test_units_that_fell_free_go_to_the_next_highest_for_what_they_lack(
    market, second_market, seller, ann, bob
):
    """Four units: Ann gets three, Bob one of the three he wants; Cat and Dan get none."""
    cat, dan = new_caller(), new_caller()
    lot = await new_lot(market, seller, 4, exposure_guard=True)
    for who, amount, units in ((cat, 20_00, 1), (dan, 25_00, 2), (bob, 30_00, 3), (ann, 50_00, 3)):
        await bid_units(market, lot, who, amount, units)
    await close_lot(market, lot)
    with pytest.raises(SecondChanceUnavailable, match="2 more"):
        await offer(market, seller, lot, quantity=3)
    made = [await offer(market, seller, lot, nth=nth) for nth in (1, 2, 3)]
    assert [one.quantity for one in made] == [2, 2, 1]
    (told,) = await told_of(market, dan)
    assert (told["price"], told["quantity"]) == (25_00, 2)
    await market.pool.execute("UPDATE exposures SET limit_minor = 5999 WHERE user_id = $1", bob.id)
    with pytest.raises(ExposureExceeded):
        await accept(market, bob, made[0])
    stock = "SELECT quantity FROM listings WHERE listing_id = (SELECT listing_id FROM auctions WHERE auction_id = $1)"
    assert await market.pool.fetchval(stock, lot) == 6
    await market.pool.execute("UPDATE exposures SET limit_minor = 6000 WHERE user_id = $1", bob.id)
    results = await asyncio.gather(
        accept(market, bob, made[0]), accept(second_market, dan, made[1]), return_exceptions=True
    )
    assert [result.status for result in results] == ["accepted", "accepted"]
    assert await market.pool.fetchval(stock, lot) == 6, "the sale has taken the units already"
    with pytest.raises(SecondChanceNotOpen):
        await accept(market, cat, made[2])
    with pytest.raises(SecondChanceUnavailable, match="has accepted"):
        await offer(market, seller, lot, nth=3)


async def test_pieces_beside_a_lot_are_sold_whole_and_not_those_of_another_auction(market, seller, ann, bob):
    lot = await new_lot(market, seller, 2)
    await bid_units(market, lot, bob, 20_00, 2)
    await bid_units(market, lot, ann, 50_00, 2)
    await close_lot(market, lot)
    listing = (await market.row(lot))["listing_id"]
    made = await offer(market, seller, lot, another_piece=True)
    assert made.quantity == 2
    for on_hand, why in ((1, "1 left"), (3, "another auction")):
        await market.pool.execute("UPDATE listings SET quantity = $2 WHERE listing_id = $1", listing, on_hand)
        if on_hand == 3:
            await market.open(seller, listing, quantity=2)
        with pytest.raises(SecondChanceNotOpen, match=why):
            await accept(market, bob, made)
    assert await market.pool.fetchval("SELECT quantity FROM listings WHERE listing_id = $1", listing) == 3
    await market.pool.execute("UPDATE listings SET quantity = 4 WHERE listing_id = $1", listing)
    assert (await accept(market, bob, made)).quantity == 2
    assert await market.pool.fetchval("SELECT quantity FROM listings WHERE listing_id = $1", listing) == 2


async def test_sealed_bids_for_units_below_the_reserve_get_them_off_the_listing(market, seller, ann, bob):
    end = market.now_ms() + HOUR_MS
    lot = await new_lot(
        market, seller, 3, format="sealed_second_price", reserve_price=99_00, ends_at=moment(end)
    )
    await bid_units(market, lot, ann, 30_00, 2)
    await bid_units(market, lot, bob, 40_00, 3)
    with pytest.raises(SecondChanceUnavailable, match="has ended"):
        await offer(market, seller, lot)
    await close_lot(market, lot)
    first = await offer(market, seller, lot, quantity=1)
    assert (await accept(market, bob, first)).price == 40_00
    second = await offer(market, seller, lot, nth=2)
    assert second.quantity == 2
    assert (await accept(market, ann, second)).price == 30_00
    row = await market.row(lot)
    stock = "SELECT quantity FROM listings WHERE listing_id = $1"
    assert await market.pool.fetchval(stock, row["listing_id"]) == 7


async def test_offers_page_from_the_newest(market, seller, ann):
    made = []
    for _ in range(3):
        auction = await close_with_bids(market, seller, [ann, new_caller()])
        made.append((await offer(market, seller, auction, expires_in_s=604_800)).id)
    first = await market.call("list_second_chances", ann, limit=2)
    rest = await market.call("list_second_chances", ann, limit=2, cursor=first.next_cursor)
    assert [one.id for one in first.items + rest.items] == made[::-1]
    assert rest.next_cursor is None
