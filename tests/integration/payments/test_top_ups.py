"""Money that comes in by card, with the built-in provider: each way it can go, and each point of being cut off."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from handlers.domain import Job, ToolContext
from handlers.payments.tools import PaymentTools, open_payment_tools
from handlers.payments.top_ups.advance_top_up import PaymentDiffersError, advance_top_up, finish_top_up
from handlers.settings import Settings, SettingsError
from protocols.errors import InvalidInput, TemporarilyUnavailable
from protocols.payments.provider_refusals import (
    AmountOutOfRange,
    CurrencyNotOffered,
    DailyLimitReached,
    MethodNotFound,
    NoTestPayment,
    ProviderRefused,
    RefundTooLarge,
    TooManyMethods,
    TopUpEnded,
    TopUpNotFound,
    TopUpNotRefundable,
)
from protocols.payments.refusals import InsufficientFunds
from protocols.values import new_id, now_instant
from storage.payments.accounts_postgres import freeze_account
from storage.payments.posting_rules import available
from tests.support.domains import Market
from tests.support.money import assert_books_are_right, book, transfer
from tests.support.payments import (
    JobContextOf,
    begin,
    confirm,
    events_of,
    go_on,
    open_payments,
    pay,
    read,
    settle,
    wallet,
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def market(database, redis) -> AsyncIterator[Market]:
    async with open_payments(database, redis) as opened:
        yield opened


async def test_a_card_that_pays_brings_the_money_once_and_its_owner_is_told(market, pool):
    ann = await market.new_user()
    top_up = await begin(market, ann)
    assert (top_up["status"], top_up["test_money"]) == ("requires_action", True)
    assert top_up["client_secret"]
    assert (await confirm(market, ann, top_up))["status"] == "succeeded"
    assert await wallet(market, ann) == {"available": 0, "pending": 0, "owed": 0}  # nobody told us yet
    await settle(market)
    assert (await read(market, ann, top_up))["status"] == "succeeded"
    assert (await wallet(market, ann))["available"] == 5_000
    told = await events_of(market, ann, "top_up_changed")
    assert [event["status"] for event in told] == ["requires_action", "succeeded"]
    (entry,) = (await market.call("payments.list_entries", ann, currency="EUR"))["items"]
    assert (entry["reason"], entry["amount"], entry["ref"]) == ("top_up", 5_000, top_up["id"])
    await assert_books_are_right(pool)


async def test_the_secret_is_in_no_later_answer_and_in_no_table(market, pool):
    ann = await market.new_user()
    key = str(new_id())
    top_up = await begin(market, ann, key=key)
    assert (await read(market, ann, top_up))["client_secret"] == ""
    kept = await pool.fetch("SELECT reply FROM idempotency WHERE user_id = $1", ann.id)
    assert all(top_up["client_secret"].encode() not in row["reply"] for row in kept)
    again = await begin(market, ann, key=key)
    assert (again["id"], again["client_secret"]) == (top_up["id"], top_up["client_secret"])
    assert await pool.fetchval("SELECT count(*) FROM test_objects WHERE own_id = $1", top_up["id"]) == 1


async def test_a_declined_card_brings_nothing_and_another_card_still_pays(market):
    ann = await market.new_user()
    top_up = await begin(market, ann)
    await confirm(market, ann, top_up, "declined")
    await settle(market)
    failed = await read(market, ann, top_up)
    assert (failed["status"], failed["failure"]) == ("failed", "card_declined")
    assert (await wallet(market, ann))["available"] == 0
    await confirm(market, ann, top_up, "visa")
    await settle(market)
    assert (await read(market, ann, top_up))["status"] == "succeeded"
    assert (await wallet(market, ann))["available"] == 5_000


@pytest.mark.parametrize(("agreed", "status", "there"), [(True, "succeeded", 700), (False, "failed", 0)])
async def test_three_d_secure_asks_the_owner_of_the_card(market, agreed, status, there):
    ann = await market.new_user()
    top_up = await begin(market, ann, 700)
    assert (await confirm(market, ann, top_up, "three_d_secure"))["status"] == "requires_action"
    await settle(market)
    assert (await read(market, ann, top_up))["status"] == "requires_action"
    await confirm(market, ann, top_up, "three_d_secure", authenticated=agreed)
    await settle(market)
    assert (await read(market, ann, top_up))["status"] == status
    assert (await wallet(market, ann))["available"] == there


async def test_a_slow_bank_and_a_late_webhook_bring_the_money_later(market):
    ann = await market.new_user()
    top_up = await begin(market, ann)
    await confirm(market, ann, top_up, "slow")
    await settle(market)
    assert (await read(market, ann, top_up))["status"] == "processing"
    await go_on(market)
    assert (await read(market, ann, top_up))["status"] == "succeeded"
    assert (await wallet(market, ann))["available"] == 5_000


async def test_money_that_comes_after_a_cancel_goes_back_and_is_never_spendable(market, pool):
    ann = await market.new_user()
    top_up = await begin(market, ann)
    await confirm(market, ann, top_up, "slow")
    await settle(market)
    await market.call("payments.cancel_top_up", ann, top_up_id=top_up["id"])
    await market.call("payments.cancel_top_up", ann, top_up_id=top_up["id"])
    await market.run_jobs("payments.advance_top_up")
    assert (await read(market, ann, top_up))["status"] == "canceled"
    await market.run_timers("continue_test_object")
    await market.run_jobs("payments.deliver_test_event")
    await market.run_timers("process_events")
    await market.run_jobs("payments.advance_top_up")
    assert await wallet(market, ann) == {"available": 0, "pending": 5_000, "owed": 0}
    watched = "SELECT count(*) FROM timers JOIN refunds ON ref = refund_id WHERE top_up_id = $1"
    assert await pool.fetchval(watched, top_up["id"]) == 1
    await settle(market)
    after = await read(market, ann, top_up)
    assert (after["status"], after["refunded"]) == ("canceled", 5_000)
    assert await wallet(market, ann) == {"available": 0, "pending": 0, "owed": 0}
    refunds = "SELECT count(*) FROM test_objects WHERE kind = 'refund' AND amount_minor = 5000"
    assert await pool.fetchval(refunds) >= 1
    await assert_books_are_right(pool)


async def test_a_canceled_top_up_cannot_be_paid_and_a_paid_one_not_canceled(market):
    ann = await market.new_user()
    top_up = await begin(market, ann)
    await market.call("payments.cancel_top_up", ann, top_up_id=top_up["id"])
    await settle(market)
    with pytest.raises(NoTestPayment):
        await confirm(market, ann, top_up)
    paid = await pay(market, ann)
    with pytest.raises(TopUpEnded):
        await market.call("payments.cancel_top_up", ann, top_up_id=paid["id"])


async def test_limits_of_an_amount_a_day_and_a_currency(market):
    ann = await market.new_user()
    for amount in (99, 500_001):
        with pytest.raises(AmountOutOfRange) as refused:
            await begin(market, ann, amount)
        assert refused.value.facts == {"minimum": 100, "maximum": 500_000, "currency": "EUR"}
    with pytest.raises(CurrencyNotOffered):
        await begin(market, ann, money={"amount": 500, "currency": "XAF"})
    for _ in range(2):
        await begin(market, ann, 450_000)
    with pytest.raises(DailyLimitReached) as full:
        await begin(market, ann, 100_001)
    assert full.value.facts == {"left": 100_000, "currency": "EUR"}
    await begin(market, ann, money={"amount": 500_000, "currency": "USD"})


async def test_a_daily_limit_holds_for_top_ups_that_are_begun_at_once(market):
    ann = await market.new_user()
    answers = await asyncio.gather(*(begin(market, ann, 400_000) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(answer, dict) for answer in answers) == 2
    assert sum(isinstance(answer, DailyLimitReached) for answer in answers) == 3


async def test_top_ups_come_newest_first_and_are_nobody_elses(market):
    ann, bob = await market.new_user(), await market.new_user()
    made = [await begin(market, ann, 100 + n) for n in range(3)]
    first = await market.call("payments.list_top_ups", ann, limit=2)
    last = await market.call("payments.list_top_ups", ann, limit=2, cursor=first["next_cursor"])
    assert [each["id"] for each in [*first["items"], *last["items"]]] == [each["id"] for each in made[::-1]]
    for verb in ("get_top_up", "cancel_top_up"):
        with pytest.raises(TopUpNotFound):
            await market.call(f"payments.{verb}", bob, top_up_id=made[0]["id"])


async def test_a_saved_card_pays_at_once_until_it_is_removed(market, pool):
    ann, bob = await market.new_user(), await market.new_user()
    card = await market.call("payments.add_method", ann, token="visa", key=str(new_id()))
    assert (card["status"], card["brand"], card["last4"]) == ("active", "visa", "4242")
    top_up = await begin(market, ann, method_id=card["id"])
    assert top_up["status"] == "succeeded"
    assert (await wallet(market, ann))["available"] == 5_000
    with pytest.raises(MethodNotFound):
        await begin(market, bob, method_id=card["id"])
    assert [each["id"] for each in (await market.call("payments.list_methods", ann))["items"]] == [card["id"]]
    for _ in range(2):
        await market.call("payments.remove_method", ann, method_id=card["id"])
    await settle(market)
    assert (await market.call("payments.list_methods", ann))["items"] == []
    with pytest.raises(MethodNotFound):
        await begin(market, ann, method_id=card["id"])
    gone = "SELECT count(*) FROM test_objects WHERE kind = 'method' AND status = 'removed'"
    assert await pool.fetchval(gone) >= 1


@pytest.mark.parametrize("token", ["../customers", "a b", "___", "naïve", "a\n"])
async def test_a_card_has_the_name_of_one(market, token):
    with pytest.raises(InvalidInput):
        await market.call("payments.add_method", await market.new_user(), token=token, key="k")


async def test_nobody_keeps_more_than_ten_cards_and_one_that_is_declined_is_none(market):
    ann = await market.new_user()
    for _ in range(2):
        with pytest.raises(ProviderRefused):
            await market.call("payments.add_method", ann, token="declined", key="declined")
    for number in range(10):
        await market.call("payments.add_method", ann, token="visa", key=f"k{number}")
    with pytest.raises(TooManyMethods):
        await market.call("payments.add_method", ann, token="visa", key="k10")
    assert len((await market.call("payments.list_methods", ann))["items"]) == 10


async def test_a_refund_takes_the_money_at_once_and_sends_it_back_once(market, pool):
    ann = await market.new_user()
    paid = await pay(market, ann)
    with pytest.raises(RefundTooLarge) as refused:
        await market.call("payments.refund_top_up", ann, top_up_id=paid["id"], amount=5_001, key="a")
    assert refused.value.facts["left"] == 5_000
    key = str(new_id())
    for _ in range(2):
        refund = await market.call("payments.refund_top_up", ann, top_up_id=paid["id"], amount=2_000, key=key)
    assert refund["status"] == "created"
    assert await wallet(market, ann) == {"available": 3_000, "pending": 2_000, "owed": 0}
    await settle(market)
    assert await wallet(market, ann) == {"available": 3_000, "pending": 0, "owed": 0}
    after = await read(market, ann, paid)
    assert (after["status"], after["refunded"]) == ("succeeded", 2_000)
    await assert_books_are_right(pool)


async def test_a_fully_refunded_top_up_is_not_shown_as_paid(market):
    """Spree pull request 14622: a fully refunded order was still "paid"."""
    ann = await market.new_user()
    paid = await pay(market, ann)
    await market.call("payments.refund_top_up", ann, top_up_id=paid["id"], amount=5_000, key=str(new_id()))
    await settle(market)
    assert (await read(market, ann, paid))["status"] == "refunded"
    with pytest.raises(TopUpNotRefundable):
        await market.call("payments.refund_top_up", ann, top_up_id=paid["id"], amount=1, key=str(new_id()))


async def test_money_that_is_spent_cannot_be_refunded(market):
    ann, bob = await market.new_user(), await market.new_user()
    paid = await pay(market, ann)
    await book(market.database, [transfer(available(ann.id, "EUR"), available(bob.id, "EUR"), 4_000)])
    with pytest.raises(InsufficientFunds):
        await market.call(
            "payments.refund_top_up", ann, top_up_id=paid["id"], amount=2_000, key=str(new_id())
        )
    assert (await read(market, ann, paid))["refunded"] == 0


async def test_a_refund_that_the_bank_sends_back_is_the_owners_again(market, pool):
    ann = await market.new_user()
    paid = await pay(market, ann)
    refund = await market.call(
        "payments.refund_top_up", ann, top_up_id=paid["id"], amount=5_000, key=str(new_id())
    )
    await settle(market)
    await pool.execute("UPDATE test_objects SET status = 'failed' WHERE own_id = $1", refund["id"])
    insert = "INSERT INTO jobs (job_id, kind, ref, at_ms, due_at_ms) VALUES ($1, $2, $3, 0, 0)"
    for _ in range(2):
        await pool.execute(insert, new_id(), "payments.advance_refund", refund["id"])
        await settle(market)
    assert await wallet(market, ann) == {"available": 5_000, "pending": 0, "owed": 0}
    after = await read(market, ann, paid)
    assert (after["status"], after["refunded"]) == ("succeeded", 0)
    await assert_books_are_right(pool)


# -- disputes ------------------------------------------------------------------------------------------------


async def disputed(market, ann, spent: int = 0):
    """A top-up of 50.00 whose cardholder disputes it after its owner has spent some of it."""
    paid = await pay(market, ann, card="disputed")
    if spent:
        shop = available((await market.new_user()).id, "EUR")
        await book(market.database, [transfer(available(ann.id, "EUR"), shop, spent)])
    await go_on(market)
    return paid


async def decide(market, pool, ann, status):
    """Have the provider decide the dispute of somebody's top-up."""
    from storage.payments.built_in_objects import lock_object
    from storage.payments.built_in_rules import decide_dispute

    found = await pool.fetchval(
        "SELECT object_id FROM test_objects WHERE kind = 'dispute' ORDER BY at_ms DESC, object_id DESC LIMIT 1"
    )
    async with market.database.transaction() as db:
        await decide_dispute(db, await lock_object(db, found), status)
    await settle(market)


async def test_a_dispute_takes_the_money_and_the_rest_becomes_a_debt(market, pool):
    ann = await market.new_user()
    paid = await disputed(market, ann, spent=3_500)
    assert await wallet(market, ann) == {"available": 0, "pending": 0, "owed": 3_500}
    (told,) = await events_of(market, ann, "top_up_disputed")
    assert (told["top_up_id"], told["owed"]) == (paid["id"], 3_500)
    with pytest.raises(TopUpNotRefundable):
        await market.call("payments.refund_top_up", ann, top_up_id=paid["id"], amount=1, key=str(new_id()))
    await assert_books_are_right(pool)


async def test_a_frozen_wallet_keeps_its_money_and_a_dispute_becomes_a_debt_until_it_is_thawed(market, pool):
    ann = await market.new_user()
    async with market.database.transaction() as db:
        await freeze_account(db, available(ann.id, "EUR"), frozen=True)
    await disputed(market, ann)
    assert await wallet(market, ann) == {"available": 5_000, "pending": 0, "owed": 5_000}
    await market.run_timers("collect_debts")
    assert (await wallet(market, ann))["owed"] == 5_000
    async with market.database.transaction() as db:
        await freeze_account(db, available(ann.id, "EUR"), frozen=False)
    await market.run_timers("collect_debts")
    assert await wallet(market, ann) == {"available": 0, "pending": 0, "owed": 0}
    await assert_books_are_right(pool)


async def test_the_next_money_that_comes_in_pays_the_debt_first(market, pool):
    ann = await market.new_user()
    await disputed(market, ann, spent=3_500)
    await pay(market, ann, 2_000)
    assert await wallet(market, ann) == {"available": 0, "pending": 0, "owed": 1_500}
    await pay(market, ann, 2_000)
    assert await wallet(market, ann) == {"available": 500, "pending": 0, "owed": 0}
    await assert_books_are_right(pool)


async def test_income_of_any_kind_pays_the_debt_before_it_can_be_spent(market, pool):
    ann, bob = await market.new_user(), await market.new_user()
    await disputed(market, ann, spent=5_000)
    await pay(market, bob)
    await book(market.database, [transfer(available(bob.id, "EUR"), available(ann.id, "EUR"), 4_000)])
    assert await wallet(market, ann) == {"available": 0, "pending": 0, "owed": 1_000}
    await market.run_timers("collect_debts")
    back = transfer(available(bob.id, "EUR"), available(ann.id, "EUR"), 1_000)
    assert await book(market.database, [back], [back]) == [None, None]
    assert await wallet(market, ann) == {"available": 0, "pending": 0, "owed": 0}
    await market.run_timers("collect_debts")
    left = "SELECT count(*) FROM timers WHERE kind = 'collect_debts' AND ref = $1"
    assert await pool.fetchval(left, ann.id) == 0
    await assert_books_are_right(pool)


@pytest.mark.parametrize(("outcome", "after"), [("won", (1_500, 0)), ("lost", (0, 3_500))])
async def test_a_dispute_that_is_won_brings_the_money_back_once(market, pool, outcome, after):
    ann = await market.new_user()
    await disputed(market, ann, spent=3_500)
    for _ in range(2):
        await decide(market, pool, ann, outcome)
    money = await wallet(market, ann)
    assert (money["available"], money["owed"]) == after
    (closed,) = await events_of(market, ann, "dispute_closed")
    assert closed["outcome"] == outcome
    await assert_books_are_right(pool)


# -- cut off at any point --------------------------------------------------------------------------------------


class CutError(Exception):
    """The process was killed here."""


async def test_killed_between_the_provider_and_us_a_repeat_finds_the_same_payment(market, pool, monkeypatch):
    ann = await market.new_user()
    key = str(new_id())

    async def die(*_args):
        raise CutError

    with monkeypatch.context() as killed:
        killed.setattr("handlers.payments.top_ups.create_top_up.finish_top_up", die)
        with pytest.raises(CutError):
            await begin(market, ann, key=key)
    (row,) = await pool.fetch("SELECT top_up_id, status, reference FROM top_ups WHERE owner_id = $1", ann.id)
    assert (row["status"], row["reference"]) == ("created", "")
    again = await begin(market, ann, key=key)
    assert again["id"] == str(row["top_up_id"])
    await confirm(market, ann, again)
    await settle(market)
    assert (await wallet(market, ann))["available"] == 5_000
    made = "SELECT count(*) FROM test_objects WHERE kind = 'payment' AND own_id = $1"
    assert await pool.fetchval(made, row["top_up_id"]) == 1


async def test_a_charge_whose_answer_was_lost_is_found_by_the_check_and_booked_once(
    market, pool, monkeypatch
):
    ann = await market.new_user()
    card = await market.call("payments.add_method", ann, token="visa", key=str(new_id()))

    async def die(*_args):
        raise CutError

    with monkeypatch.context() as killed:
        killed.setattr("handlers.payments.top_ups.create_top_up.finish_top_up", die)
        with pytest.raises(CutError):
            await begin(market, ann, method_id=card["id"])
    await pool.execute("DELETE FROM test_events")  # its webhook is lost, too
    await pool.execute("DELETE FROM jobs WHERE kind = 'payments.deliver_test_event'")
    await pool.execute(
        "UPDATE top_ups SET created_at_ms = created_at_ms - 300000 WHERE owner_id = $1", ann.id
    )
    await pool.execute("UPDATE test_objects SET at_ms = at_ms - 300000")
    for _ in range(3):
        await market.run_timers("check_top_ups")
        await market.run_jobs()
    assert (await wallet(market, ann))["available"] == 5_000
    await assert_books_are_right(pool)


async def test_a_top_up_that_no_payment_was_made_for_is_given_up_by_the_check(market, pool, monkeypatch):
    ann = await market.new_user()

    async def away(*_args):
        raise TemporarilyUnavailable

    with monkeypatch.context() as down:
        down.setattr("handlers.payments.top_ups.create_top_up.advance_top_up", away)
        with pytest.raises(TemporarilyUnavailable):
            await begin(market, ann)
    await pool.execute(
        "UPDATE top_ups SET created_at_ms = created_at_ms - 300000 WHERE owner_id = $1", ann.id
    )
    await market.run_timers("check_top_ups")
    await settle(market)
    (listed,) = (await market.call("payments.list_top_ups", ann))["items"]
    assert (listed["status"], listed["failure"]) == ("canceled", "abandoned")
    assert await pool.fetchval("SELECT count(*) FROM test_objects WHERE own_id = $1", listed["id"]) == 0


async def test_an_unpaid_top_up_is_given_up_after_a_day_and_one_that_was_refused_is_asked_for_no_more(
    market, pool
):
    ann = await market.new_user()
    waiting = await begin(market, ann)
    card = await market.call("payments.add_method", ann, token="visa", key=str(new_id()))
    await pool.execute("UPDATE payment_methods SET reference = 'gone' WHERE method_id = $1", card["id"])
    refused = await begin(market, ann, method_id=card["id"])
    assert (refused["status"], refused["failure"]) == ("failed", "resource_missing")
    waits = []
    due = "SELECT due_at_ms FROM timers WHERE kind = 'check_top_ups' AND ref = $1"
    while (at_ms := await pool.fetchval(due, waiting["id"])) is not None:
        waits.append(round((at_ms - now_instant()) / 60_000))
        await market.run_timers("check_top_ups")
        await settle(market)
    assert waits == [5, 60, 1_440]
    assert (await read(market, ann, waiting))["status"] == "canceled"
    assert (
        await pool.fetchval("SELECT status FROM test_objects WHERE own_id = $1", waiting["id"]) == "canceled"
    )
    assert await pool.fetchval(due, refused["id"]) is None
    reviewed = "SELECT count(*) FROM top_ups WHERE needs_review AND owner_id = $1"
    assert await pool.fetchval(reviewed, ann.id) == 0


@pytest.mark.parametrize("card", ["visa", "declined", "slow", "three_d_secure"])
async def test_from_every_state_each_step_may_be_made_twice(market, pool, card):
    """Killed after the call and before its record, or after it: the job is run again, from whatever is stored."""
    ann = await market.new_user()
    context = JobContextOf(market)
    top_up = await begin(market, ann)
    job = Job(job_id=new_id(), ref=top_up["id"], attempt=2)

    async def twice():
        seen = [await advance_top_up(job, context) for _ in range(2)]
        for each in [*seen, seen[0]]:
            await market.pipeline.commit(lambda stores, now_ms, e=each: finish(job, e, stores, now_ms))

    await twice()
    await confirm(market, ann, top_up, card)
    await twice()
    old = await advance_top_up(job, context)
    await go_on(market)
    await twice()
    await market.pipeline.commit(lambda stores, now_ms: finish(job, old, stores, now_ms))  # late and old
    paid = card in {"visa", "slow"}
    assert (await wallet(market, ann))["available"] == (5_000 if paid else 0)
    moved = "SELECT count(*) FROM transfers WHERE ref = $1"
    assert await pool.fetchval(moved, top_up["id"]) == int(paid)
    await assert_books_are_right(pool)


async def finish(job, seen, stores, now_ms):
    return [await finish_top_up(job, seen, stores, now_ms)]


async def test_a_database_with_test_money_takes_no_real_money(market, tmp_path):
    await pay(market, await market.new_user())
    settings = Settings(stripe_key="sk_live_1", stripe_webhook_secret="whsec_1", secrets=str(tmp_path))
    with pytest.raises(SettingsError, match="wallets in it have test money"):
        async with open_payment_tools(ToolContext(settings, market.database, None, None)):
            pass
    without = replace(settings, stripe_key="", stripe_webhook_secret="")
    context = ToolContext(without, market.database, None, None)
    async with open_payment_tools(context) as tools, open_payment_tools(context) as others:
        assert tools.test_money is True
        assert tools.webhook_secrets == others.webhook_secrets  # of every process, after every restart


async def test_a_payment_of_another_amount_is_never_booked(market, pool):
    ann = await market.new_user()
    top_up = await begin(market, ann)
    await confirm(market, ann, top_up)
    await pool.execute("UPDATE test_objects SET amount_minor = 1 WHERE own_id = $1", top_up["id"])
    job = Job(job_id=new_id(), ref=top_up["id"], attempt=1)
    seen = await advance_top_up(job, JobContextOf(market))
    with pytest.raises(PaymentDiffersError):
        await market.pipeline.commit(lambda stores, now_ms: finish(job, seen, stores, now_ms))
    assert (await wallet(market, ann))["available"] == 0
    await pool.execute("DELETE FROM jobs")
    assert market.pipeline._tools[PaymentTools].test_money is True
