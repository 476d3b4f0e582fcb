"""Increment tables of currencies: set by administrators, kept with history; an open auction keeps its own."""

import asyncio

import pytest

from handlers.contract import Caller
from protocols.errors import InvalidInput, NotAllowed, Unauthenticated
from protocols.values import new_id
from tests.integration.auctions.conftest import ANONYMOUS, new_caller
from tests.integration.auctions.replay import assert_audited, assert_replays

ADMIN = Caller(user_id=new_id(), roles=frozenset({"user", "admin"}))


async def test_without_a_table_the_built_in_one_holds(market):
    told = await market.call("get_increments", currency="JPY")
    assert (told.current.version, told.current.set_at, told.history) == (0, None, [])
    assert told.current.increments[0] == (1, 1)


async def test_a_new_table_holds_for_new_auctions_and_open_ones_keep_theirs(market, seller, ann):
    before = await market.new_auction(seller, currency="CHF")
    made = await market.call(
        "set_increments", ADMIN, currency="CHF", increments=[[20_00, 3_00], [None, 7_00]]
    )
    assert (made.version, made.increments) == (1, [(20_00, 3_00), (None, 7_00)])
    after = await market.new_auction(seller, currency="CHF")
    elsewhere = await market.new_auction(seller, currency="EUR")
    own = await market.new_auction(seller, currency="CHF", increments=[(None, 11)])
    auctions = [before, after, elsewhere, own]
    receipts = [await market.bid_now(auction, ann, 90_00) for auction in auctions]
    assert [receipt.minimum_bid for receipt in receipts] == [10_50, 13_00, 10_50, 10_11]
    again = await market.call("set_increments", ADMIN, currency="CHF", increments=[[None, 1]])
    receipts = [await market.bid_now(auction, new_caller(), 30_00) for auction in auctions]
    assert [receipt.price for receipt in receipts] == [31_00, 37_00, 31_00, 30_11]
    told = await market.call("get_increments", currency="CHF")
    assert (told.current, told.history) == (again, [again, made])
    page = await market.call("get_increments", currency="CHF", before=2, limit=1)
    assert page.history == [made]
    assert await assert_replays(market.pool, auctions) == 4
    await assert_audited(market, auctions)


async def test_the_table_that_holds_makes_no_version_also_when_set_at_once(market):
    rows = [[500, 1], [None, 2]]
    setting = [market.call("set_increments", ADMIN, currency="NOK", increments=rows) for _ in range(6)]
    made = await asyncio.gather(*setting)
    assert {one.version for one in made} == {1}
    many = [market.call("set_increments", ADMIN, currency="NOK", increments=[[None, n]]) for n in range(3, 9)]
    assert sorted(one.version for one in await asyncio.gather(*many)) == [2, 3, 4, 5, 6, 7]


async def test_only_administrators_set_tables_and_only_good_ones(market, seller):
    for caller, refusal in ((seller, NotAllowed), (ANONYMOUS, Unauthenticated)):
        with pytest.raises(refusal):
            await market.call("set_increments", caller, currency="SEK", increments=[[None, 1]])
    for currency, rows, pointer in [
        ("XXX", [[None, 1]], "/currency"),
        ("SEK", [[100, 5], [50, 6]], "/increments"),
        ("SEK", [[None, 5], [50, 6]], "/increments"),
    ]:
        with pytest.raises(InvalidInput) as refused:
            await market.call("set_increments", ADMIN, currency=currency, increments=rows)
        assert [error["pointer"] for error in refused.value.facts["errors"]] == [pointer]
    with pytest.raises(InvalidInput):
        await market.call("get_increments", currency="XXX")
    assert (await market.call("get_increments", currency="SEK")).history == []
