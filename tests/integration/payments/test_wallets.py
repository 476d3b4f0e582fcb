"""What people see of their money, and operators of everybody's."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from handlers.payments.expire_holds import TIMER
from protocols.errors import InvalidInput, NotAllowed, Unauthenticated
from protocols.payments.postings import PLATFORM, Account, Hold
from protocols.values import new_id, now_instant
from server.domains import DOMAINS
from storage.payments.posting_rules import available
from tests.support.domains import Market, open_market
from tests.support.money import EXTERNAL, assert_books_are_right, book, top_up, transfer


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def market(database, redis) -> AsyncIterator[Market]:
    async with open_market(DOMAINS, database, redis) as opened:
        yield opened


async def test_a_new_user_has_no_wallet_and_no_entries(market):
    ann = await market.new_user()
    assert await market.call("payments.list_wallets", ann) == {"items": [], "next_cursor": None}
    entries = await market.call("payments.list_entries", ann, currency="EUR")
    assert entries == {"items": [], "next_cursor": None}


async def test_wallets_show_what_is_spendable_held_on_its_way_and_owed(market):
    ann = await market.new_user()
    hold = Hold(
        hold_id=new_id(),
        owner_id=ann.id,
        currency="EUR",
        amount_minor=300,
        ref=new_id(),
        expires_at_ms=now_instant() + 60_000,
    )
    paid_out = transfer(available(ann.id, "EUR"), Account(ann.id, "EUR", "payable"), 200, "payout")
    owed = transfer(Account(ann.id, "EUR", "receivable"), EXTERNAL, 40, "chargeback")
    yen = top_up(ann.id, 7_000, "JPY")
    await book(market.database, [top_up(ann.id, 1_000)], [hold], [paid_out], [yen])
    await book(market.database, [owed])
    wallets = await market.call("payments.list_wallets", ann)
    euros = {"currency": "EUR", "available": 500, "held": 300, "pending": 200, "owed": 40, "frozen": False}
    yens = {"currency": "JPY", "available": 7_000, "held": 0, "pending": 0, "owed": 0, "frozen": False}
    assert wallets["items"] == [euros, yens]


async def test_entries_come_page_by_page_newest_first_and_nobody_elses(market):
    ann, bob = await market.new_user(), await market.new_user()
    await book(market.database, *([top_up(ann.id, 10 + n)] for n in range(7)), [top_up(bob.id, 1)])
    seen, cursor = [], ""
    while cursor is not None:
        page = await market.call("payments.list_entries", ann, currency="EUR", limit=3, cursor=cursor)
        seen += page["items"]
        cursor = page["next_cursor"]
    assert [(e["number"], e["amount"], e["reason"]) for e in seen] == [
        (7 - n, 16 - n, "top_up") for n in range(7)
    ]
    assert seen[0]["balance"] == sum(range(10, 17))
    assert (await market.call("payments.list_entries", ann, currency="USD"))["items"] == []


@pytest.mark.parametrize(
    "cursor", ["!", "LTE", "eA", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA"]
)
async def test_a_forged_cursor_is_refused(market, cursor):
    ann = await market.new_user()
    with pytest.raises(InvalidInput):
        await market.call("payments.list_entries", ann, currency="EUR", cursor=cursor)


async def test_a_hold_that_nobody_used_returns_when_its_timer_rings(market, pool):
    ann = await market.new_user()
    soon = now_instant() + 50
    hold = Hold(
        hold_id=new_id(), owner_id=ann.id, currency="EUR", amount_minor=300, ref=new_id(), expires_at_ms=soon
    )
    await book(market.database, [top_up(ann.id, 300)], [hold])
    await pool.execute(
        "INSERT INTO timers (kind, ref, due_at_ms) VALUES ($1, $2, $3)", TIMER, hold.hold_id, soon
    )
    await market.run_timers(TIMER)
    await market.run_timers(TIMER)
    wallets = await market.call("payments.list_wallets", ann)
    assert (wallets["items"][0]["available"], wallets["items"][0]["held"]) == (300, 0)
    entries = await market.call("payments.list_entries", ann, currency="EUR")
    assert [e["reason"] for e in entries["items"]] == ["hold_returned", "hold", "top_up"]
    await assert_books_are_right(pool)


async def test_the_treasury_says_whether_the_books_add_up(market, pool):
    ann = await market.new_user()
    await book(market.database, [top_up(ann.id, 90, "CHF")])
    operator = replace(ann, roles=frozenset({"user", "finance"}))
    treasury = await market.call("payments.get_treasury", operator)
    francs = next(each for each in treasury["currencies"] if each["currency"] == "CHF")
    assert treasury["balanced"] is True
    assert (francs["wallets"], francs["external"], francs["trial_balance"]) == (90, -90, 0)
    stolen = "UPDATE accounts SET balance_minor = balance_minor + $1 WHERE owner_id = $2 AND currency = 'CHF'"
    await pool.execute(stolen, 1, PLATFORM)
    treasury = await market.call("payments.get_treasury", operator)
    francs = next(each for each in treasury["currencies"] if each["currency"] == "CHF")
    assert (treasury["balanced"], francs["balanced"], francs["trial_balance"]) == (False, False, 1)
    await pool.execute(stolen, -1, PLATFORM)


async def test_only_operators_see_everybodys_money(market):
    ann = await market.new_user()
    with pytest.raises(NotAllowed):
        await market.call("payments.get_treasury", ann)
    for name in ("payments.list_wallets", "payments.get_treasury"):
        with pytest.raises(Unauthenticated):
            await market.call(name)
