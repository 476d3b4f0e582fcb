"""Money that goes out to banks, with the built-in provider: each way it can go, and each point of being cut off."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from handlers.domain import Job
from handlers.payments.payouts.advance_payout import advance_payout, finish_payout
from handlers.payments.payouts.advance_payout_account import advance_payout_account, finish_payout_account
from handlers.payments.tools import PaymentTools
from handlers.payments.top_ups.advance_dispute import advance_dispute, finish_dispute
from handlers.payments.top_ups.advance_refund import advance_refund, finish_refund
from protocols.auth.refusals import StepUpRequired
from protocols.errors import InvalidInput, TemporarilyUnavailable
from protocols.payments.postings import PLATFORM, Account
from protocols.payments.provider_refusals import (
    AmountOutOfRange,
    DailyLimitReached,
    DebtUnpaid,
    PayoutAccountMissing,
    PayoutAccountNotActive,
    PayoutNotFound,
    PayoutSent,
)
from protocols.payments.refusals import AccountFrozen, InsufficientFunds
from protocols.values import new_id, now_instant
from storage.payments.accounts_postgres import freeze_account
from storage.payments.posting_rules import available
from tests.support.domains import Market
from tests.support.money import assert_books_are_right, book, top_up, transfer
from tests.support.payments import (
    JobContextOf,
    account_of,
    events_of,
    go_on,
    open_account,
    open_payments,
    pay,
    settle,
    wallet,
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def market(database, redis) -> AsyncIterator[Market]:
    async with open_payments(database, redis) as opened:
        yield opened


async def payee(market, amount=10_000, **account):
    """Somebody with money and an active account."""
    ann = await market.new_user()
    await open_account(market, ann, **account)
    await book(market.database, [top_up(ann.id, amount)])
    return ann


async def request(market, who, amount=4_000, key=""):
    money = {"amount": amount, "currency": "EUR"}
    return await market.call("payments.request_payout", who, money=money, key=key or str(new_id()))


async def send(market):
    """Let a minute pass: payouts are sent."""
    await market.run_timers("check_payouts")
    await market.run_jobs("payments.advance_payout")


async def status(market, who, payout):
    return (await market.call("payments.get_payout", who, payout_id=payout["id"]))["status"]


async def test_an_account_is_made_once_and_its_status_comes_by_webhook(market, pool):
    ann = await market.new_user()
    assert (await market.call("payments.list_payout_accounts", ann))["items"] == []
    with pytest.raises(PayoutAccountMissing):
        await request(market, ann)
    with pytest.raises(InvalidInput):
        await market.call("payments.create_payout_account", ann, country="XX", key="x")
    made = [
        await market.call("payments.create_payout_account", ann, country="DE", key=str(new_id()))
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert (made[0]["status"], made[0]["onboarding_url"]) == ("pending", "/v1/test-payments/onboard")
    for state in ("active", "restricted", "rejected"):
        await market.call("payments.onboard_test_account", ann, status=state)
        await settle(market)
        assert (await account_of(market, ann))["status"] == state
    told = await events_of(market, ann, "payout_account_changed")
    assert [event["status"] for event in told] == ["active", "restricted", "rejected"]
    assert await pool.fetchval("SELECT count(*) FROM test_objects WHERE own_id = $1", made[0]["id"]) == 1


@pytest.mark.parametrize("state", ["pending", "restricted", "rejected"])
async def test_only_an_active_account_is_paid_out_to(market, state):
    ann = await payee(market, status=state)
    with pytest.raises(PayoutAccountNotActive) as refused:
        await request(market, ann)
    assert refused.value.facts == {"account_status": state}
    assert (await wallet(market, ann))["available"] == 10_000


async def test_a_payout_takes_the_money_at_once_and_is_paid_once(market, pool):
    ann = await payee(market)
    key = str(new_id())
    payouts = [await request(market, ann, key=key) for _ in range(2)]
    assert payouts[0] == payouts[1]
    assert await wallet(market, ann) == {"available": 6_000, "pending": 4_000, "owed": 0}
    await send(market)
    assert await status(market, ann, payouts[0]) == "sent"
    assert (await wallet(market, ann))["pending"] == 4_000
    await go_on(market)
    assert await status(market, ann, payouts[0]) == "paid"
    assert await wallet(market, ann) == {"available": 6_000, "pending": 0, "owed": 0}
    told = await events_of(market, ann, "payout_changed")
    assert [event["status"] for event in told] == ["sent", "paid"]
    await assert_books_are_right(pool)


async def test_a_payout_that_the_bank_refuses_returns_the_money(market, pool):
    ann = await payee(market, bank="fails")
    payout = await request(market, ann)
    await send(market)
    await go_on(market)
    after = await market.call("payments.get_payout", ann, payout_id=payout["id"])
    assert (after["status"], after["failure"]) == ("failed", "account_closed")
    assert await wallet(market, ann) == {"available": 10_000, "pending": 0, "owed": 0}
    await assert_books_are_right(pool)


async def test_a_payout_that_the_bank_returns_later_is_not_shown_as_settled(market, pool):
    """Spree pull request 14622: a payout returned by the bank was still "settled"."""
    ann = await payee(market)
    payout = await request(market, ann)
    await send(market)
    await go_on(market)
    assert await status(market, ann, payout) == "paid"
    await pool.execute("UPDATE test_objects SET status = 'failed' WHERE own_id = $1", payout["id"])
    for _ in range(2):
        await ask_for(pool, "payments.advance_payout", payout["id"])
        await settle(market)
    assert await status(market, ann, payout) == "failed"
    assert await wallet(market, ann) == {"available": 10_000, "pending": 0, "owed": 0}
    await assert_books_are_right(pool)


async def test_no_payout_is_of_more_than_there_is(market, pool):
    """Spree pull request 14622: a payout asked for more than was available."""
    ann = await payee(market)
    answers = await asyncio.gather(*(request(market, ann) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(answer, dict) for answer in answers) == 2
    assert sum(isinstance(answer, InsufficientFunds) for answer in answers) == 3
    assert await wallet(market, ann) == {"available": 2_000, "pending": 8_000, "owed": 0}
    await assert_books_are_right(pool)


async def test_limits_of_payouts(market):
    ann = await payee(market, 2_000_000)
    for amount in (99, 500_001):
        with pytest.raises(AmountOutOfRange):
            await request(market, ann, amount)
    for _ in range(2):
        await request(market, ann, 500_000)
    with pytest.raises(DailyLimitReached):
        await request(market, ann, 100)


async def test_a_payout_can_be_taken_back_until_it_is_sent(market, pool):
    ann, bob = await payee(market), await market.new_user()
    payout = await request(market, ann)
    with pytest.raises(PayoutNotFound):
        await market.call("payments.cancel_payout", bob, payout_id=payout["id"])
    for _ in range(2):
        await market.call("payments.cancel_payout", ann, payout_id=payout["id"])
    await send(market)
    await go_on(market)
    assert await status(market, ann, payout) == "canceled"
    assert await wallet(market, ann) == {"available": 10_000, "pending": 0, "owed": 0}
    assert await pool.fetchval("SELECT count(*) FROM test_objects WHERE own_id = $1", payout["id"]) == 0
    sent = await request(market, ann)
    await send(market)
    with pytest.raises(PayoutSent):
        await market.call("payments.cancel_payout", ann, payout_id=sent["id"])
    await assert_books_are_right(pool)


async def test_what_may_have_reached_the_provider_cannot_be_taken_back(market, monkeypatch):
    ann = await payee(market)
    payout = await request(market, ann)

    async def away(*_args):
        raise TemporarilyUnavailable

    provider = type(market.pipeline._tools[PaymentTools].provider)
    with monkeypatch.context() as down:
        down.setattr(provider, "create_payout", away)
        await send(market)
    with pytest.raises(PayoutSent):
        await market.call("payments.cancel_payout", ann, payout_id=payout["id"])
    await market.run_jobs()
    await go_on(market)
    assert await status(market, ann, payout) == "paid"


async def test_a_frozen_wallet_pays_nothing_out(market):
    ann = await payee(market)
    async with market.database.transaction() as db:
        await freeze_account(db, available(ann.id, "EUR"), frozen=True)
    with pytest.raises(AccountFrozen):
        await request(market, ann)


async def test_who_owes_is_paid_nothing_until_the_debt_is_paid(market, pool):
    ann, shop = await payee(market, 100), await market.new_user()
    await pay(market, ann, card="disputed")
    await book(market.database, [transfer(available(ann.id, "EUR"), available(shop.id, "EUR"), 5_100)])
    await go_on(market)
    assert (await wallet(market, ann))["owed"] == 5_000
    await book(market.database, [top_up(ann.id, 4_000)])
    with pytest.raises(DebtUnpaid) as refused:
        await request(market, ann, 4_000)
    assert refused.value.facts == {"owed": 1_000, "currency": "EUR"}
    await book(market.database, [top_up(ann.id, 1_500)])
    await request(market, ann, 500)
    assert await wallet(market, ann) == {"available": 0, "pending": 500, "owed": 0}
    await assert_books_are_right(pool)


async def test_who_owes_in_one_currency_is_paid_nothing_in_another(market, pool):
    ann = await payee(market, 100)
    owed = Account(ann.id, "GBP", "receivable")
    outside = Account(PLATFORM, "GBP", "external")
    await book(market.database, [transfer(owed, outside, 300, "chargeback")])
    with pytest.raises(DebtUnpaid) as refused:
        await request(market, ann, 100)
    assert refused.value.facts == {"owed": 300, "currency": "GBP"}
    await book(market.database, [top_up(ann.id, 300, "GBP")])
    await request(market, ann, 100)
    await assert_books_are_right(pool)


async def test_payouts_come_newest_first(market):
    ann = await payee(market)
    made = [await request(market, ann, 100 + n) for n in range(3)]
    first = await market.call("payments.list_payouts", ann, limit=2)
    last = await market.call("payments.list_payouts", ann, limit=2, cursor=first["next_cursor"])
    assert [each["id"] for each in [*first["items"], *last["items"]]] == [each["id"] for each in made[::-1]]


# -- cut off at any point --------------------------------------------------------------------------------------


async def ask_for(pool, kind, ref):
    statement = "INSERT INTO jobs (job_id, kind, ref, at_ms, due_at_ms) VALUES ($1, $2, $3, 0, 0)"
    await pool.execute(statement, new_id(), kind, ref)


async def twice(market, run, finish, ref):
    """Make a job's call twice, then record what each saw, the first once more: killed at every point between."""
    job = Job(job_id=new_id(), ref=ref, attempt=2)
    seen = [await run(job, JobContextOf(market)) for _ in range(2)]
    for each in [*seen, seen[0]]:

        async def record(stores, now_ms, each=each):
            return [await finish(job, each, stores, now_ms)]

        await market.pipeline.commit(record)


@pytest.mark.parametrize(("bank", "ends"), [("pays", "paid"), ("fails", "failed")])
async def test_from_every_state_of_a_payout_each_step_may_be_made_twice(market, pool, bank, ends):
    ann = await payee(market, bank=bank)
    payout = await request(market, ann)
    for state in ("sent", ends):
        await twice(market, advance_payout, finish_payout, payout["id"])
        assert await status(market, ann, payout) == state
        await go_on(market)
    await twice(market, advance_payout, finish_payout, payout["id"])
    assert await status(market, ann, payout) == ends
    assert await pool.fetchval("SELECT count(*) FROM test_objects WHERE own_id = $1", payout["id"]) == 1
    there = 6_000 if ends == "paid" else 10_000
    assert await wallet(market, ann) == {"available": there, "pending": 0, "owed": 0}
    await assert_books_are_right(pool)


async def test_from_every_state_of_an_account_each_step_may_be_made_twice(market, pool):
    ann = await market.new_user()
    made = await market.call("payments.create_payout_account", ann, country="DE", key="k")
    await pool.execute("UPDATE payout_accounts SET reference = '' WHERE account_id = $1", made["id"])
    for state in ("pending", "active"):
        await twice(market, advance_payout_account, finish_payout_account, made["id"])
        assert (await account_of(market, ann))["status"] == state
        await market.call("payments.onboard_test_account", ann)
    await twice(market, advance_payout_account, finish_payout_account, made["id"])
    assert await pool.fetchval("SELECT count(*) FROM test_objects WHERE own_id = $1", made["id"]) == 1


async def test_from_every_state_of_a_refund_each_step_may_be_made_twice(market, pool):
    ann = await market.new_user()
    paid = await pay(market, ann)
    fields = {"top_up_id": paid["id"], "amount": 2_000, "key": "r"}
    refund = await market.call("payments.refund_top_up", ann, **fields)
    for _ in range(2):
        await twice(market, advance_refund, finish_refund, refund["id"])
        await market.run_timers("check_refunds")
        await settle(market)
    assert await wallet(market, ann) == {"available": 3_000, "pending": 0, "owed": 0}
    assert await pool.fetchval("SELECT count(*) FROM test_objects WHERE own_id = $1", refund["id"]) == 1
    await assert_books_are_right(pool)


async def test_from_every_state_of_a_dispute_each_step_may_be_made_twice(market, pool):
    ann = await market.new_user()
    paid = await pay(market, ann, card="disputed")
    await go_on(market)
    dispute_id = await pool.fetchval("SELECT dispute_id FROM disputes WHERE top_up_id = $1", paid["id"])
    for outcome in ("open", "won"):
        await pool.execute("UPDATE test_objects SET status = $1 WHERE kind = 'dispute'", outcome)
        await twice(market, advance_dispute, finish_dispute, dispute_id)
    assert await wallet(market, ann) == {"available": 5_000, "pending": 0, "owed": 0}
    await assert_books_are_right(pool)


async def test_a_silent_provider_is_asked_again_for_a_week_and_then_a_person_looks(market, pool, monkeypatch):
    """5 minutes, 1 hour, 1 day five times; nothing is booked by guess."""
    ann = await payee(market)
    payout = await request(market, ann)

    async def away(*_args):
        raise TemporarilyUnavailable

    provider = type(market.pipeline._tools[PaymentTools].provider)
    monkeypatch.setattr(provider, "create_payout", away)
    monkeypatch.setattr(provider, "find_payout", away)
    waits = []
    due = "SELECT due_at_ms FROM timers WHERE kind = 'check_payouts' AND ref = $1"
    while (at_ms := await pool.fetchval(due, payout["id"])) is not None:
        waits.append(round((at_ms - now_instant()) / 60_000))
        await market.run_timers("check_payouts")
        await market.run_jobs("payments.advance_payout")
    assert waits == [1, 5, 60, *[1_440] * 5]
    row = await pool.fetchrow("SELECT status, needs_review FROM payouts WHERE payout_id = $1", payout["id"])
    assert (row["status"], row["needs_review"]) == ("created", True)
    assert await wallet(market, ann) == {"available": 6_000, "pending": 4_000, "owed": 0}
    await pool.execute("DELETE FROM jobs")


async def test_money_leaves_in_a_fresh_session_only(market, pool):
    ann = await market.new_user()
    await pool.execute(
        "UPDATE sessions SET fresh_at_ms = $2 WHERE user_id = $1", ann.id, now_instant() - 300_001
    )
    money = {"amount": 100, "currency": "EUR"}
    for verb, fields in (("create_payout_account", {"country": "DE"}), ("request_payout", {"money": money})):
        with pytest.raises(StepUpRequired) as refused:
            await market.call(f"payments.{verb}", ann, key=str(new_id()), **fields)
        assert refused.value.facts["ways"] == ["password"]
    assert await pool.fetchval("SELECT count(*) FROM payout_accounts WHERE owner_id = $1", ann.id) == 0
    await pool.execute("UPDATE sessions SET fresh_at_ms = $2 WHERE user_id = $1", ann.id, now_instant())
    assert (await market.call("payments.create_payout_account", ann, country="DE", key=str(new_id())))["id"]
