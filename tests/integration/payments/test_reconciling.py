"""Our books are compared with the provider's: no difference when all went well, and each that is planted found."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import pytest_asyncio

from handlers.contract import Stores
from handlers.payments.reconciling.figures import MONEY_FIGURES
from handlers.payments.reconciling.reconcile import day_begin_ms
from handlers.payments.reconciling.rules import find_differences
from protocols.errors import NotAllowed
from protocols.payments.provider import Movement
from protocols.payments.reconciliations import BookedEntry
from protocols.values import new_id, now_instant
from server.process.metrics import Metrics
from storage.payments.reconciliations_postgres import count_differences, count_for_review
from tests.support.domains import Market
from tests.support.payments import begin, confirm, go_on, open_account, open_payments, pay, settle

DAY = 86_400_000


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def market(database, redis) -> AsyncIterator[Market]:
    async with open_payments(database, redis) as opened:
        yield opened


@pytest.fixture
async def reports(market, pool):
    """A function that compares today as if it were over, and returns the newest report."""
    operator = replace(await market.new_user(), roles=frozenset({"user", "finance"}))

    async def compare():
        await pool.execute("DELETE FROM reconciliation_differences")
        await pool.execute("DELETE FROM reconciliations")
        await pool.execute("DELETE FROM jobs WHERE kind = 'payments.reconcile'")
        report_id, today = new_id(), datetime.now(UTC).date()
        insert = "INSERT INTO reconciliations (report_id, day, status, started_at_ms) VALUES ($1, $2, 'running', 0)"
        await pool.execute(insert, report_id, today)
        job = "INSERT INTO jobs (job_id, kind, ref, at_ms, due_at_ms) VALUES ($1, 'payments.reconcile', $2, 0, 0)"
        for _ in range(2):
            await pool.execute(job, new_id(), report_id)
        await market.run_jobs("payments.reconcile")
        (report,) = (await market.call("payments.list_reconciliations", operator))["items"]
        assert (report["status"], report["day"]) == ("done", today.isoformat())
        return report

    return compare


async def everything(market, pool):
    """One of each thing that moves money."""
    ann = await market.new_user()
    paid = await pay(market, ann)
    await market.call("payments.refund_top_up", ann, top_up_id=paid["id"], amount=1_000, key="r")
    late = await begin(market, ann)
    await confirm(market, ann, late, "slow")
    await settle(market)
    await market.call("payments.cancel_top_up", ann, top_up_id=late["id"])
    await pay(market, ann, card="disputed")
    await pay(market, ann, card="declined")
    bob = await market.new_user()
    await pay(market, bob, 20_000)
    for who, bank in ((ann, "pays"), (bob, "fails")):
        await open_account(market, who, bank=bank)
        money = {"amount": 500, "currency": "EUR"}
        await market.call("payments.request_payout", who, money=money, key="p")
    await market.run_timers("check_payouts")
    await go_on(market)
    await go_on(market)
    dispute = await pool.fetchval("SELECT object_id FROM test_objects WHERE kind = 'dispute' LIMIT 1")
    return paid, dispute


async def test_no_difference_when_all_went_well_and_each_that_is_planted_is_found(market, pool, reports):
    paid, _ = await everything(market, pool)
    clean = await reports()
    assert (clean["difference_count"], clean["differences"]) == (0, [])
    assert clean["movements"] == await pool.fetchval("SELECT count(*) FROM test_movements")
    assert clean["movements"] >= 9

    row = await pool.fetchrow(
        "SELECT m.*, t.top_up_id FROM test_movements AS m JOIN top_ups AS t ON t.entry = m.source"
        " WHERE t.top_up_id = $1 AND m.kind = 'charge'",
        paid["id"],
    )
    copy = (
        "INSERT INTO test_movements SELECT gen_random_uuid(), kind, {source}, {amount}, {currency}, at_ms"
        " FROM test_movements WHERE movement_id = $1 RETURNING movement_id"
    )
    as_it_is = {"source": "source", "amount": "amount_minor", "currency": "currency"}
    planted = {
        "unknown_source": as_it_is | {"source": "'ch_of_nobody'"},
        "amount_differs": as_it_is | {"amount": "amount_minor + 1"},
        "currency_differs": as_it_is | {"currency": "'USD'"},
        "moved_twice": as_it_is,
    }
    for kind, changes in planted.items():
        movement = await pool.fetchval(copy.format(**changes), row["movement_id"])
        report = await reports()
        assert kind in {each["kind"] for each in report["differences"]}
        (found,) = [each for each in report["differences"] if each["kind"] == kind]
        assert found["own_id"] == (None if kind == "unknown_source" else paid["id"])
        assert found["our_amount"] == (None if kind == "unknown_source" else 5_000)
        await pool.execute("DELETE FROM test_movements WHERE movement_id = $1", movement)
    await pool.execute("DELETE FROM test_movements WHERE movement_id = $1", row["movement_id"])
    (missing,) = (await reports())["differences"]
    assert (missing["kind"], missing["own_id"]) == ("missing_at_provider", paid["id"])
    assert (missing["provider_amount"], missing["our_amount"]) == (None, 5_000)


async def test_operators_measure_differences_and_what_a_person_has_to_look_at(market, pool, reports):
    await pool.execute("DELETE FROM test_movements")
    assert (await reports())["difference_count"] > 0
    ann = await market.new_user()
    top_up = await begin(market, ann)
    await pool.execute("UPDATE top_ups SET needs_review = true WHERE top_up_id = $1", top_up["id"])
    metrics = Metrics()
    async with market.database.connection() as db:
        wanted = (await count_differences(db), await count_for_review(db))
        turn = await MONEY_FIGURES.step(Stores(db, None, "test"), now_instant())
    show = metrics.follow_loops({"payments.money_figures": MONEY_FIGURES})
    for figure in turn.figures:
        show(figure)
    text = metrics.render().decode()
    names = ("mnbara_reconciliation_differences", "mnbara_payments_for_review")
    assert tuple(float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE)[1]) for name in names) == wanted
    assert wanted[0] > 0
    assert wanted[1] >= 1


async def test_money_that_the_provider_took_and_we_never_heard_of_is_found(market, pool, reports):
    ann = await market.new_user()
    top_up = await begin(market, ann, 4_321)
    await confirm(market, ann, top_up)
    await pool.execute("DELETE FROM jobs WHERE kind = 'payments.deliver_test_event'")
    found = [each for each in (await reports())["differences"] if each["provider_amount"] == 4_321]
    assert [each["kind"] for each in found] == ["unknown_source"]


async def test_each_day_that_ended_gets_one_report_and_the_timer_comes_back_after_midnight(market, pool):
    await pool.execute("DELETE FROM reconciliation_differences")
    await pool.execute("DELETE FROM reconciliations")
    for _ in range(2):
        await pool.execute("UPDATE timers SET due_at_ms = 0 WHERE kind = 'reconcile_days'")
        await market.pipeline.run_timers("reconcile_days", market._timers["reconcile_days"], 10)
    days = [row["day"] for row in await pool.fetch("SELECT day FROM reconciliations ORDER BY day")]
    last = (datetime.now(UTC) - timedelta(hours=1)).date() - timedelta(days=1)
    assert days == [last - timedelta(days=back) for back in range(6, -1, -1)]
    (due,) = await pool.fetch("SELECT due_at_ms FROM timers WHERE kind = 'reconcile_days'")
    assert due["due_at_ms"] == day_begin_ms(last + timedelta(days=2)) + 3_600_000 > now_instant()


async def test_only_operators_read_the_reports(market):
    with pytest.raises(NotAllowed):
        await market.call("payments.list_reconciliations", await market.new_user())


# -- by values -------------------------------------------------------------------------------------------------

BEGIN = day_begin_ms(date(2026, 11, 30))
OURS = BookedEntry(
    kind="payout", own_id=new_id(), source="tr_1", currency="EUR", amounts=(-500, 500), booked_at_ms=BEGIN
)


def movement(amount=-500, at_ms=BEGIN, **fields):
    named = {"reference": f"m{amount}{at_ms}", "kind": "payout", "source": "tr_1", "currency": "EUR"}
    return Movement(**named | {"amount_minor": amount, "fee_minor": 0, "at_ms": at_ms} | fields)


@pytest.mark.parametrize(
    ("movements", "booked", "kinds"),
    [
        ([movement()], [OURS], []),
        ([movement(), movement(500)], [OURS], []),
        ([movement(at_ms=BEGIN - 1)], [OURS], []),  # the clocks are not one
        ([movement(at_ms=BEGIN + DAY)], [OURS], []),
        ([], [OURS], ["missing_at_provider"]),
        ([movement(source="")], [OURS], ["unknown_source", "missing_at_provider"]),
        ([movement(kind="charge")], [OURS], ["unknown_source"]),
        ([movement(), movement(reference="again")], [OURS], ["moved_twice"]),
        ([movement(at_ms=BEGIN - 1), movement(reference="again")], [OURS], ["moved_twice"]),
        ([movement(at_ms=BEGIN - 1, source="tr_9")], [OURS], ["missing_at_provider"]),
    ],
)
def test_how_two_books_differ(movements, booked, kinds):
    assert [each.kind for each in find_differences(movements, booked, BEGIN, BEGIN + DAY)] == kinds
