"""Money through Stripe's own library, against a Stripe server that somebody else wrote, in a process of its own."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from aiohttp import web

from handlers.domain import ToolContext
from handlers.payments.reconciling.rules import find_differences
from handlers.payments.tools import PaymentTools, check_payment_settings, open_payment_tools
from handlers.settings import Settings, SettingsError
from protocols.errors import TemporarilyUnavailable
from protocols.payments.provider_refusals import NoTestMoney, ProviderRefused
from protocols.payments.webhooks import check_signature
from protocols.values import new_id, now_instant
from server.local.programs import free_port
from storage.payments.reconciliations_postgres import read_booked
from storage.payments.stripe_provider import StripeProvider, open_stripe
from tests.integration.payments.test_webhooks import event, send
from tests.support.domains import Market
from tests.support.money import assert_books_are_right, book, top_up
from tests.support.payments import SECRET, account_of, begin, open_payments, read, settle, wallet
from tests.support.waiting import until

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")  # Stripe's library

KEY = "sk_test_12345"
PROGRAM = Path(__file__).parents[2] / "support" / "localstripe_process.py"
DECLINED = "4000000000000341"
ASKS = "4000000000003220"


class Stripe:
    """The server's process."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, auth=(KEY, ""), timeout=20, trust_env=False)

    def start(self) -> None:
        self._process = subprocess.Popen([sys.executable, str(PROGRAM), str(self.port), str(self._state)])

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()

    def answers(self) -> bool:
        try:
            return self.http.get("/v1/balance").status_code == 200
        except httpx.TransportError:
            return False

    def post(self, path: str, **fields):
        answer = self.http.post(path, data=fields)
        assert answer.is_success, answer.text
        return answer.json()

    def get(self, path: str):
        return self.http.get(path).raise_for_status().json()

    def pay(self, payment: str, number: str = "4242424242424242") -> None:
        """What Stripe's form does in a browser."""
        card = {
            f"card[{name}]": value
            for name, value in {"number": number, "exp_month": "12", "exp_year": "2030", "cvc": "123"}.items()
        }
        method = self.post("/v1/payment_methods", type="card", **card)["id"]
        self.post(f"/v1/payment_intents/{payment}", payment_method=method)
        self.post(f"/v1/payment_intents/{payment}/confirm")


@pytest.fixture(scope="module")
def stripe(tmp_path_factory) -> Iterator[Stripe]:
    server = Stripe(tmp_path_factory.mktemp("stripe") / "state")
    server.start()
    yield server
    server.stop()
    server.http.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def market(database, redis, stripe) -> AsyncIterator[Market]:
    await until(stripe.answers, "the Stripe server")
    async with (
        open_stripe(KEY, stripe.url, "https://market.example") as provider,
        open_payments(database, redis, provider) as opened,
    ):
        yield opened


def payment_of(top_up):
    return top_up["client_secret"].partition("_secret_")[0]


async def tell(market, reference, kind="payment_intent", **about):
    await send(market, event(reference, kind, **about))
    await settle(market)


async def test_a_card_that_pays_brings_the_money_once(market, pool, stripe):
    ann = await market.new_user()
    made = await begin(market, ann)
    assert (made["status"], made["test_money"]) == ("requires_action", False)
    payment = stripe.get(f"/v1/payment_intents/{payment_of(made)}")
    assert (payment["amount"], payment["currency"]) == (5_000, "eur")
    assert payment["metadata"] == {"mnbara_id": made["id"]}
    stripe.pay(payment["id"])
    for _ in range(2):
        await tell(market, payment["id"])
    assert (await read(market, ann, made))["status"] == "succeeded"
    assert (await wallet(market, ann))["available"] == 5_000
    await assert_books_are_right(pool)


async def test_a_declined_card_and_then_another(market, stripe):
    ann = await market.new_user()
    made = await begin(market, ann)
    stripe.pay(payment_of(made), DECLINED)
    await tell(market, payment_of(made))
    failed = await read(market, ann, made)
    assert (failed["status"], failed["failure"]) == ("failed", "card_declined")
    other = await begin(market, ann)
    stripe.pay(payment_of(other))
    await tell(market, payment_of(other))
    assert (await wallet(market, ann))["available"] == 5_000


async def test_three_d_secure_waits_for_the_owner_of_the_card(market, stripe):
    ann = await market.new_user()
    made = await begin(market, ann)
    stripe.pay(payment_of(made), ASKS)
    await tell(market, payment_of(made))
    assert (await read(market, ann, made))["status"] == "requires_action"
    path = f"/v1/payment_intents/{payment_of(made)}/_authenticate"
    stripe.post(path, client_secret=made["client_secret"], success="true")
    await tell(market, payment_of(made))
    assert (await wallet(market, ann))["available"] == 5_000


async def test_a_cancel_ends_the_payment_at_stripe_and_money_that_came_before_goes_back(market, pool, stripe):
    ann = await market.new_user()
    unpaid, paid = await begin(market, ann), await begin(market, ann, 700)
    stripe.pay(payment_of(paid))
    for each in (unpaid, paid):
        await market.call("payments.cancel_top_up", ann, top_up_id=each["id"])
    await settle(market)
    assert stripe.get(f"/v1/payment_intents/{payment_of(unpaid)}")["status"] == "canceled"
    (refund,) = stripe.get(f"/v1/refunds?payment_intent={payment_of(paid)}")["data"]
    assert refund["amount"] == 700
    assert await wallet(market, ann) == {"available": 0, "pending": 0, "owed": 0}
    await assert_books_are_right(pool)


async def test_a_saved_card_pays_at_once_and_is_forgotten(market, stripe):
    ann = await market.new_user()
    card = await market.call("payments.add_method", ann, token="pm_card_visa", key="a")
    assert (card["status"], card["last4"], card["expires"]) == ("active", "4242", "2030-12")
    assert (await begin(market, ann, method_id=card["id"]))["status"] == "succeeded"
    assert (await wallet(market, ann))["available"] == 5_000
    with pytest.raises(ProviderRefused) as refused:
        await market.call("payments.add_method", ann, token="pm_card_visa_chargeDeclined", key="b")
    assert refused.value.facts == {"reason": "card_declined"}
    await market.call("payments.remove_method", ann, method_id=card["id"])
    await settle(market)
    assert (await market.call("payments.list_methods", ann))["items"] == []


async def test_a_saved_card_that_is_declined_fails_the_top_up(market, pool):
    ann = await market.new_user()
    card = await market.call("payments.add_method", ann, token="pm_card_chargeCustomerFail", key="a")
    made = await begin(market, ann, method_id=card["id"])
    assert (made["status"], made["failure"]) == ("failed", "card_declined")
    reference = await pool.fetchval("SELECT reference FROM top_ups WHERE top_up_id = $1", made["id"])
    assert reference.startswith("pi_")  # it can still be read, and another card can pay it


async def test_a_refund_reaches_stripe_once(market, pool, stripe):
    ann = await market.new_user()
    made = await begin(market, ann)
    stripe.pay(payment_of(made))
    await tell(market, payment_of(made))
    fields = {"top_up_id": made["id"], "amount": 2_000, "key": "r"}
    for _ in range(2):
        await market.call("payments.refund_top_up", ann, **fields)
    await settle(market)
    (refund,) = stripe.get(f"/v1/refunds?payment_intent={payment_of(made)}")["data"]
    assert refund["amount"] == 2_000
    await tell(market, refund["id"], "refund", metadata=refund["metadata"])
    assert await wallet(market, ann) == {"available": 3_000, "pending": 0, "owed": 0}
    await assert_books_are_right(pool)


async def test_a_dispute_takes_the_money_and_one_that_is_won_brings_it_back(market, pool, stripe):
    ann = await market.new_user()
    made = await begin(market, ann)
    stripe.pay(payment_of(made))
    await tell(market, payment_of(made))
    dispute = stripe.post("/v1/disputes", payment_intent=payment_of(made))["id"]
    statuses = (("warning_needs_response", 5_000), ("needs_response", 0), ("under_review", 0), ("won", 5_000))
    for status, there in statuses:
        stripe.post(f"/v1/disputes/{dispute}", status=status)
        for _ in range(2):
            await tell(market, dispute, "dispute", payment_intent=payment_of(made))
        assert (await wallet(market, ann))["available"] == there
    await assert_books_are_right(pool)


# -- payouts ---------------------------------------------------------------------------------------------------


async def payee(market, stripe):
    ann = await market.new_user()
    await book(market.database, [top_up(ann.id, 10_000)])
    made = await market.call("payments.create_payout_account", ann, country="DE", key="a")
    assert made["onboarding_url"].startswith("https://connect.example.test/?back=https://market.example")
    account = next(
        each["id"]
        for each in stripe.get("/v1/accounts?limit=100")["data"]
        if each["metadata"]["mnbara_id"] == made["id"]
    )
    changes = {"payouts_enabled": True, "capabilities": {"transfers": "active"}}
    stripe.http.post(f"/v1/accounts/{account}", json=changes).raise_for_status()
    await tell(market, account, "account")
    assert (await account_of(market, ann))["status"] == "active"
    return ann


async def request(market, who):
    money = {"amount": 4_000, "currency": "EUR"}
    payout = await market.call("payments.request_payout", who, money=money, key=str(new_id()))
    await market.run_timers("check_payouts")
    await market.run_jobs("payments.advance_payout")
    return payout


def payouts_of(stripe, payout):
    found = stripe.get("/v1/payouts?limit=100")["data"]
    return [each for each in found if each["metadata"].get("mnbara_id") == payout["id"]]


@pytest.mark.parametrize(("end", "there"), [("paid", 6_000), ("failed", 10_000)])
async def test_a_payout_is_a_transfer_and_a_payout_and_ends_as_the_bank_says(
    market, pool, stripe, end, there
):
    ann = await payee(market, stripe)
    payout = await request(market, ann)
    (sent,) = payouts_of(stripe, payout)
    assert await wallet(market, ann) == {"available": 6_000, "pending": 4_000, "owed": 0}
    stripe.post(f"/v1/payouts/{sent['id']}", status=end)
    for _ in range(2):
        await tell(market, sent["id"], "payout", metadata=sent["metadata"])
    after = await market.call("payments.get_payout", ann, payout_id=payout["id"])
    assert after["status"] == end
    assert await wallet(market, ann) == {"available": there, "pending": 0, "owed": 0}
    transfer = await pool.fetchval("SELECT entry FROM payouts WHERE payout_id = $1", payout["id"])
    assert stripe.get(f"/v1/transfers/{transfer}")["reversed"] is (end == "failed")
    await assert_books_are_right(pool)


async def test_a_payout_whose_answer_was_lost_is_found_and_not_made_again(market, pool, stripe):
    ann = await payee(market, stripe)
    payout = await request(market, ann)
    await pool.execute(
        "UPDATE payouts SET reference = '', status = 'created' WHERE payout_id = $1", payout["id"]
    )
    await market.run_timers("check_payouts")
    await market.run_jobs("payments.advance_payout")
    after = await market.call("payments.get_payout", ann, payout_id=payout["id"])
    assert (after["status"], len(payouts_of(stripe, payout))) == ("sent", 1)


# -- away ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_while_stripe_is_away_what_needs_it_is_refused_for_a_while_and_nothing_is_lost_or_doubled(
    market, pool, stripe
):
    ann = await payee(market, stripe)
    paid = await begin(market, ann)
    stripe.pay(payment_of(paid))
    stripe.stop()
    for _ in range(2):
        with pytest.raises(TemporarilyUnavailable) as refused:
            await begin(market, ann, 700, key="again")
    assert (refused.value.status, refused.value.facts) == (503, {"retry_after_s": 5})
    with pytest.raises(TemporarilyUnavailable):
        await market.call("payments.add_method", ann, token="pm_card_visa", key="m")
    payout = await request(market, ann)  # goes on: it is sent later
    await send(market, event(payment_of(paid)))  # and so does the intake
    await settle(market)
    assert await wallet(market, ann) == {"available": 6_000, "pending": 4_000, "owed": 0}
    stripe.start()
    await until(stripe.answers, "the Stripe server")
    again = await begin(market, ann, 700, key="again")
    assert again["status"] == "requires_action"
    await settle(market)
    assert await wallet(market, ann) == {"available": 11_000, "pending": 4_000, "owed": 0}
    assert len(payouts_of(stripe, payout)) == 1
    named = [
        each
        for each in stripe.get("/v1/payment_intents?limit=100")["data"]
        if each["metadata"].get("mnbara_id") == again["id"]
    ]
    assert len(named) == 1
    await assert_books_are_right(pool)


async def test_the_lines_of_stripes_balance_are_what_we_booked(market, pool, stripe):
    """Everything above, compared: payments, refunds, disputes, transfers and those taken back."""
    day = now_instant() // 86_400_000 * 86_400_000
    provider = market.pipeline._tools[PaymentTools].provider
    movements = [each async for each in provider.list_movements(day - 86_400_000, day + 2 * 86_400_000)]
    assert {each.kind for each in movements} == {"charge", "refund", "dispute", "payout"}
    async with market.database.connection() as db:
        booked = await read_booked(db, day, day + 86_400_000, [each.source for each in movements])
    assert find_differences(movements, booked, day, day + 86_400_000) == []
    assert len(booked) >= 10


# -- how it is set up -------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_webhook_that_the_server_itself_signs_is_believed(market, stripe):
    came = asyncio.Queue()

    async def take(request):
        await came.put((await request.read(), request.headers["Stripe-Signature"]))
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", free_port())
    await site.start()
    hook = {"url": site.name, "secret": SECRET, "events": ["customer.created"]}
    stripe.http.post("/_config/webhooks/1", json=hook).raise_for_status()
    customer = stripe.post("/v1/customers")["id"]
    body, header = await asyncio.wait_for(came.get(), 30)
    await runner.cleanup()
    check_signature(body, header, [SECRET], now_instant() // 1000)
    assert json.loads(body)["data"]["object"]["id"] == customer
    assert await send(market, body, header=header) == {"received": True}


async def test_with_a_key_stripe_is_used_and_test_cards_are_refused(market, stripe):
    settings = Settings(stripe_key=KEY, stripe_webhook_secret=f"{SECRET}, whsec_b", stripe_url=stripe.url)
    context = ToolContext(settings, market.database, None, None)
    async with open_payment_tools(context) as tools:
        assert isinstance(tools.provider, StripeProvider)
        assert (tools.webhook_secrets, tools.test_money) == ((SECRET, "whsec_b"), False)
        await tools.provider.ping()
    ann = await market.new_user()
    with pytest.raises(NoTestMoney):
        await market.call("payments.confirm_test_payment", ann, client_secret="x", card="visa")
    with pytest.raises(NoTestMoney):
        await market.call("payments.onboard_test_account", ann)
    assert market.pipeline._tools[PaymentTools].test_money is False


async def test_without_the_key_of_real_money_nothing_starts_on_its_database(market):
    """A key that was forgotten must not let everybody make money with test cards."""
    await begin(market, await market.new_user())
    with pytest.raises(SettingsError, match="MNBARA_STRIPE_KEY is not set"):
        async with open_payment_tools(ToolContext(Settings(), market.database, None, None)):
            pass


@pytest.mark.parametrize(
    "fields", [{"stripe_key": KEY}, {"stripe_webhook_secret": SECRET}, {"stripe_url": "http://x"}]
)
def test_half_of_the_settings_stop_the_start(fields):
    with pytest.raises(SettingsError, match="MNBARA_STRIPE"):
        check_payment_settings(Settings(**fields))
    check_payment_settings(Settings())
