"""Money in and out of a running system with the test provider: REST, the worker, the personal channel."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import asyncpg
import httpx
import pytest

from protocols.values import new_id
from tests.support.money import assert_books_are_right
from tests.support.system import running_system, scratch_home
from tests.support.test_system import open_test_system
from tests.support.waiting import DEADLINE_S, until

pytestmark = pytest.mark.slow


@contextmanager
def money_system(engines, database, redis_url):
    """A system, how its owner calls it (again with the same key until answered), and what they have."""
    environment = {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
        "MNBARA_RATE_LIMITS": "off",
    }
    with (
        scratch_home() as home,
        running_system(home, processes=2, environment=environment) as running,
        open_test_system(running, database, redis_url) as system,
    ):

        def call(method, path, body=None):
            headers = {"Idempotency-Key": str(new_id())}
            deadline = time.monotonic() + DEADLINE_S
            while True:
                try:
                    answer = system.http.request(
                        method, path, json=body, headers=system.headers("owner") | headers
                    )
                    if answer.status_code < 500 and answer.status_code != 409:
                        assert answer.is_success, answer.text
                        return answer.json()
                except httpx.TransportError:
                    pass
                assert time.monotonic() < deadline
                time.sleep(0.05)

        def money():
            items = call("GET", "/v1/wallets")["items"]
            return (items[0]["available"], items[0]["pending"], items[0]["owed"]) if items else None

        yield running, system, call, money


async def difference_of_the_books(database):
    """What the provider moved more than we booked."""
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool:
        await assert_books_are_right(pool)
        moved = await pool.fetchval("SELECT sum(amount_minor) FROM test_movements")
        outside = "SELECT -sum(balance_minor) FROM accounts WHERE purpose = 'external'"
        return moved - await pool.fetchval(outside)


def test_kills_between_us_and_the_provider_lose_and_double_no_money(engines, database, redis_url):
    with (
        money_system(engines, database, redis_url) as (running, _, call, money),
        ThreadPoolExecutor(1) as beside,
    ):
        for victim in ("worker", "server-0", "worker", "server-1"):
            killed = beside.submit(running.kill, victim)
            for _ in range(5):
                top_up = call("POST", "/v1/top-ups", {"money": {"amount": 1_000, "currency": "EUR"}})
                paid = {"client_secret": top_up["client_secret"], "card": "visa"}
                call("POST", "/v1/test-payments/confirm", paid)
            killed.result()
        asyncio.run(until(lambda: money() == (20_000, 0, 0), "the money of all"))
        assert asyncio.run(difference_of_the_books(database)) == 0


def test_a_top_up_a_dispute_and_a_payout_in_a_running_system(engines, database, redis_url):
    with money_system(engines, database, redis_url) as (running, system, call, money):
        ready = system.http.get("/health/ready").json()
        assert (ready["status"], ready["parts"]["payments"]) == ("ready", "test_money")
        assert (running.home / "logs" / "worker.log").read_text().count("test_money") >= 1
        for card in ("visa", "disputed"):
            top_up = call("POST", "/v1/top-ups", {"money": {"amount": 5_000, "currency": "EUR"}})
            paid = {"client_secret": top_up["client_secret"], "card": card}
            assert call("POST", "/v1/test-payments/confirm", paid)["status"] == "succeeded"
        asyncio.run(until(lambda: money() == (10_000, 0, 0), "the money of both"))
        call("POST", "/v1/payout-accounts", {"country": "DE"})
        call("POST", "/v1/test-payments/onboard", {"status": "active"})
        accounts = "/v1/payout-accounts"
        asyncio.run(until(lambda: call("GET", accounts)["items"][0]["status"] == "active", "the account"))
        call("POST", "/v1/payouts", {"money": {"amount": 7_000, "currency": "EUR"}})
        asyncio.run(until(lambda: money() == (0, 7_000, 2_000), "the dispute"))
