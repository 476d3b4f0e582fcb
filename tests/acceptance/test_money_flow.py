"""Money in and out of a running system with the test provider: REST, the worker, the personal channel."""

import asyncio

import pytest

from protocols.values import new_id
from tests.support.system import running_system, scratch_home
from tests.support.test_system import open_test_system
from tests.support.waiting import until

pytestmark = pytest.mark.slow


def test_a_top_up_a_complaint_and_a_payout_in_a_running_system(engines, database, redis_url):
    environment = {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
    }
    with (
        scratch_home() as home,
        running_system(home, environment=environment) as running,
        open_test_system(running, database, redis_url) as system,
    ):
        http = system.http

        def call(method, path, body=None):
            headers = system.headers("owner") | {"Idempotency-Key": str(new_id())}
            answer = http.request(method, path, json=body, headers=headers)
            assert answer.is_success, answer.text
            return answer.json()

        def money():
            items = call("GET", "/v1/wallets")["items"]
            return (items[0]["available"], items[0]["pending"], items[0]["owed"]) if items else None

        ready = http.get("/health/ready").json()
        assert (ready["status"], ready["parts"]["payments"]) == ("ready", "test_money")
        assert (home / "logs" / "worker.log").read_text().count("test_money") >= 1
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
        asyncio.run(until(lambda: money() == (0, 7_000, 2_000), "the complaint"))
