"""The books are checked all the time: what operators are told, metrics show, and a balance changed by hand."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest_asyncio

from handlers import payments
from handlers.contract import Caller, Stores
from handlers.domain import ChannelKinds
from handlers.payments.treasury import audit_accounts as audit
from handlers.payments.treasury.check_treasury import next_at
from handlers.payments.treasury.figures import TREASURY_FIGURES
from protocols.errors import UnknownChannel
from protocols.payments.channels import TREASURY
from protocols.payments.postings import Hold
from protocols.values import new_id, now_instant
from server.channels.permissions import ChannelPermissions
from server.domains import DOMAINS, channels_of
from server.process.metrics import Metrics
from tests.support.domains import Market, open_market
from tests.support.money import book, top_up

BY_HAND = (
    "UPDATE accounts SET balance_minor = balance_minor + $1 WHERE owner_id = $2 AND purpose = 'available'"
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def market(database, redis) -> AsyncIterator[Market]:
    async with open_market((payments.DOMAIN,), database, redis) as opened:
        yield opened


async def audit_all(market: Market) -> None:
    """Let the audit come to the end of all accounts."""
    begun = now_instant()
    while await market.database_value("SELECT audited_at_ms FROM treasury_state") < begun:
        await market.run_timers("audit_accounts")


async def told(market: Market, word: str) -> list[dict]:
    return [event for event in await market.events(TREASURY) if event["type"] == word]


async def scrape(market: Market) -> str:
    metrics = Metrics()
    show = metrics.follow_loops({"payments.treasury_figures": TREASURY_FIGURES})
    async with market.database.connection() as db:
        turn = await TREASURY_FIGURES.step(Stores(db, None, "test"), now_instant())
    for figure in turn.figures:
        show(figure)
    return metrics.render().decode()


async def test_operators_are_told_of_totals_that_changed_and_of_none_that_did_not(market):
    ann, hold_id = await market.new_user(), new_id()
    hold = Hold(
        hold_id=hold_id,
        owner_id=ann.id,
        currency="EUR",
        amount_minor=300,
        ref=new_id(),
        expires_at_ms=now_instant() + 60_000,
    )
    await book(market.database, [top_up(ann.id, 1_000)], [hold])
    await market.run_timers("check_treasury")
    await market.run_timers("check_treasury")
    (event,) = await told(market, "treasury_changed")
    (euros,) = event["currencies"]
    assert event["balanced"] is True
    sums = {name: euros[name] for name in ("wallets", "held", "open_holds", "external", "trial_balance")}
    assert sums == {"wallets": 700, "held": 300, "open_holds": 300, "external": -1_000, "trial_balance": 0}
    shown = await scrape(market)
    assert 'mnbara_treasury_trial_balance_minor{currency="EUR"} 0.0' in shown
    assert 'mnbara_treasury_minor{currency="EUR",purpose="held"} 300.0' in shown
    assert "mnbara_treasury_faulty_accounts 0.0" in shown


async def test_a_balance_that_was_changed_by_hand_is_found_named_and_shown(market, pool, monkeypatch):
    monkeypatch.setattr(audit, "ACCOUNTS_MAX", 3)
    monkeypatch.setattr(audit, "ENTRIES_MAX", 5)
    ann, bob, eve = [await market.new_user() for _ in range(3)]
    for user in (ann, bob, eve):
        await book(market.database, *([top_up(user.id, 100)] for _ in range(4)))
    await audit_all(market)
    assert await told(market, "account_differs") == []
    await pool.execute(BY_HAND, 1, bob.id)
    await pool.execute(BY_HAND, -1, eve.id)  # the trial balance stays zero
    await book(market.database, [top_up(bob.id, 50)])  # money moves on over the fault
    await audit_all(market)
    await audit_all(market)
    found = {event["owner_id"]: event for event in await told(market, "account_differs")}
    assert set(found) == {str(bob.id), str(eve.id)}
    assert len(await told(market, "account_differs")) == 2  # each is told once
    named = found[str(bob.id)]
    assert (named["currency"], named["purpose"]) == ("EUR", "available")
    assert (named["balance"], named["expected"]) == (451, 450)
    operator = replace(ann, roles=frozenset({"finance"}))
    treasury = await market.call("payments.get_treasury", operator)
    assert (treasury["balanced"], treasury["faulty_accounts"]) == (False, 2)
    assert {fault["owner_id"] for fault in treasury["faults"]} == {str(bob.id), str(eve.id)}
    assert "mnbara_treasury_faulty_accounts 2.0" in await scrape(market)
    await pool.execute(BY_HAND, -1, bob.id)
    await pool.execute(BY_HAND, 1, eve.id)
    await audit_all(market)
    assert {event["owner_id"] for event in await told(market, "account_mended")} == set(found)
    assert "mnbara_treasury_faulty_accounts 0.0" in await scrape(market)


async def test_a_missing_transfer_is_found(market, pool):
    ann = await market.new_user()
    lost = top_up(ann.id, 70)
    await book(market.database, [lost], [top_up(ann.id, 30)])
    async with pool.acquire() as db, db.transaction():
        await db.execute("ALTER TABLE transfers DISABLE TRIGGER transfers_immutable")
        await db.execute("DELETE FROM transfers WHERE transfer_id = $1", lost.transfer_id)
        await db.execute("ALTER TABLE transfers ENABLE TRIGGER transfers_immutable")
    await audit_all(market)
    wrong = [e for e in await told(market, "account_differs") if e["owner_id"] == str(ann.id)]
    assert [(event["balance"], event["expected"]) for event in wrong] == [(100, 30)]


async def test_the_channel_is_there_for_operators_alone(market):
    kinds = ChannelKinds(channels_of(DOMAINS))
    permissions = ChannelPermissions(kinds, market.database)
    operator = Caller(user_id=new_id(), roles=frozenset({"user", "finance"}))
    assert await permissions.authorize(operator, TREASURY)
    strangers = [Caller(), Caller(user_id=new_id(), roles=frozenset({"user", "support"}))]
    for caller, channel in [
        *((each, TREASURY) for each in strangers),
        (operator, f"{TREASURY}:{new_id()}"),
        (operator, f"{TREASURY}:"),
        (operator, "auctions"),
    ]:
        try:
            await permissions.authorize(caller, channel)
        except UnknownChannel:
            continue
        raise AssertionError(f"{caller} follows {channel}")


def test_a_check_takes_two_percent_of_a_connection():
    assert next_at(10_000, 10_005, 1_000) == 11_005
    assert next_at(10_000, 12_000, 1_000) == 112_000
