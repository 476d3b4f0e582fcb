"""Rate limits: the script on real Redis, the headers over real HTTP, RPC in the process, and Redis away."""

import asyncio
import re
from dataclasses import replace

import httpx
import pytest
import pytest_asyncio

from handlers.contract import Caller, Outcome
from handlers.payments.webhooks import routes as webhooks
from protocols.budgets import Rule
from protocols.payments.webhooks import EventReceived, check_signature, sign
from protocols.values import new_id, now_instant
from realtime.ports import ProtocolError
from server.commands import ratelimits
from server.commands.ratelimits import ANONYMOUS_RULE, USER_RULE, SharedLimits
from storage.engines.redis import open_redis
from storage.platform.ratelimits_redis import RateLimitStore
from tests.integration.http.conftest import running_system

RULE = Rule("test", count=30, period_s=60, burst=15)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def limited(database, redis_url, pool):
    async with running_system(database, redis_url, pool, rate_limits=True) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(limited):
    async with httpx.AsyncClient(base_url=limited.url) as client:
        yield client


async def test_the_worked_numbers_of_rule_14_on_redis(redis):
    store = RateLimitStore(redis)
    key = str(new_id())
    answers = [await store.take(key, RULE.unit_us, RULE.tolerance_us, 1) for _ in range(17)]
    first, sixteenth, last = answers[0], answers[15], answers[16]
    assert first == (True, 15, 0, 2_000_000)
    assert sixteenth[:2] == (True, 0)
    assert 31_500_000 < sixteenth[3] <= 32_000_000
    assert last[:2] == (False, 0)
    assert 1_500_000 < last[2] <= 2_000_000
    assert 31_500_000 < last[3] <= 32_000_000


async def test_redis_keeps_one_integer_that_expires_with_the_budget(redis):
    store = RateLimitStore(redis)
    key = str(new_id())
    for _ in range(3):
        await store.take(key, RULE.unit_us, RULE.tolerance_us, 1)
    assert (await redis.get(f"ratelimits:{key}")).isdigit()
    assert 5_500 < await redis.pttl(f"ratelimits:{key}") <= 6_002


async def test_two_hundred_racing_calls_take_exactly_the_budget(redis_url):
    client = open_redis(redis_url)
    store = RateLimitStore(client)
    key = str(new_id())
    unit_us = 3600 * 1_000_000
    answers = await asyncio.gather(*(store.take(key, unit_us, unit_us * 9, 1) for _ in range(200)))
    assert sum(allowed for allowed, *_ in answers) == 10
    await client.aclose()


async def test_answers_tell_the_budget_and_refusals_the_wait(http, limited):
    _, support = limited.sign_in("support")
    first = await http.get("/v1/note-count", headers=support)
    assert first.headers["ratelimit-policy"] == '"user";q=251;w=5'
    assert first.headers["ratelimit"] == '"user";r=246;t=1'
    for _ in range(USER_RULE.limit):
        answer = await http.get("/v1/note-count", headers=support)
        if answer.status_code == 429:
            break
    assert answer.json()["code"] == "rate_limited"
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["retry_after_s"] == 1
    assert answer.headers["ratelimit"].startswith('"user";r=')


async def test_bad_tokens_take_from_the_budget_of_their_address(http, limited, redis):
    await redis.delete("ratelimits:ip:127.0.0.1")
    statuses = [
        (await http.get("/v1/notes", headers={"Authorization": f"Bearer guess{i}"})).status_code
        for i in range(2 * ANONYMOUS_RULE.limit)
    ]
    assert statuses[:300] == [401] * 300
    assert statuses[-1] == 429
    await redis.delete("ratelimits:ip:127.0.0.1")


async def test_a_forwarded_header_makes_no_new_budget(http, redis):
    await redis.delete("ratelimits:ip:127.0.0.1")
    statuses = [
        (await http.get("/v1/notes", headers={"X-Forwarded-For": f"10.0.0.{i}"})).status_code
        for i in range(2 * ANONYMOUS_RULE.limit)
    ]
    assert statuses[-1] == 429
    await redis.delete("ratelimits:ip:127.0.0.1")


async def test_rpc_is_limited_per_user_with_the_wait_in_the_message(limited):
    caller, _ = limited.sign_in()
    other, _ = limited.sign_in()
    refused = None
    for _ in range(2 * USER_RULE.limit):
        try:
            await limited.table.call("notes.find_notes", b"", caller)
        except ProtocolError as error:
            refused = error
    assert refused is not None
    assert (refused.code, refused.temporary) == (411, True)
    assert refused.message == 'rate_limited: Too many requests; wait 1 s {"retry_after_s":1}'
    await limited.table.call("notes.find_notes", b"", other)


async def test_strangers_over_rpc_are_limited_by_address(limited):
    one, two = Caller(remote_ip="10.0.0.1"), Caller(remote_ip="10.0.0.2")
    for _ in range(ANONYMOUS_RULE.limit - 10):
        await limited.table.call("notes.find_notes", b"", one)
    await asyncio.sleep(0.01)
    with pytest.raises(ProtocolError, match="rate_limited"):
        await call_often(limited, one)
    await limited.table.call("notes.find_notes", b"", two)


@pytest.mark.parametrize("is_away", [False, True], ids=["redis", "redis away"])
async def test_strangers_of_one_ipv6_network_share_a_budget(redis_url, is_away):
    client = open_redis("redis://127.0.0.1:1/0" if is_away else redis_url)
    limits = SharedLimits(RateLimitStore(client))
    network = f"2001:db8:{'a' if is_away else 'b'}:1"
    callers = [Caller(remote_ip=f"{network}::{number:x}") for number in range(2 * ANONYMOUS_RULE.limit)]
    verdicts = [await limits.take(caller, 1) for caller in callers]
    assert not verdicts[-1].allowed
    neighbour = await limits.take(Caller(remote_ip=f"{network[:-1]}2::1"), 1)
    assert neighbour.allowed
    await client.aclose()


async def test_without_redis_this_process_judges_alone_and_counts_it(monkeypatch):
    monkeypatch.setattr(ratelimits, "OUTAGE_PAUSE_S", 60)
    client = open_redis("redis://127.0.0.1:1/0")
    counted = []
    limits = SharedLimits(RateLimitStore(client), lambda: counted.append(1))
    caller = Caller(user_id=new_id())
    verdicts = [await limits.take(caller, 1) for _ in range(300)]
    assert USER_RULE.limit <= sum(v.allowed for v in verdicts) < 300
    assert len(counted) == 300
    await client.aclose()


async def call_often(limited, caller):
    for _ in range(60):
        await limited.table.call("notes.find_notes", b"", caller)


async def test_signed_callers_take_nothing_and_unsigned_ones_more_than_a_call(database, redis_url, pool):
    """The payment provider sends as many webhooks as there are payments, all from a few addresses."""
    (route,) = [route for route in webhooks.ROUTES if route.upload is not None]
    secret = "whsec_test"

    async def take(command, _caller, _stores, now_ms):
        check_signature(command.content, command.stripe_signature, [secret], now_ms // 1000)
        return Outcome(EventReceived())

    take.__name__ = route.verb
    async with (
        running_system(database, redis_url, pool, [replace(route, function=take)], rate_limits=True) as made,
        httpx.AsyncClient(base_url=made.url) as client,
    ):
        headers = {"Content-Type": "application/json", "Stripe-Signature": sign(b"{}", now_s(), secret)}
        answers = [await client.post(route.path, content=b"{}", headers=headers) for _ in range(20)]
        assert [(a.status_code, a.headers.get("ratelimit")) for a in answers] == [(200, None)] * 20
        headers["Stripe-Signature"] = sign(b"{}", now_s(), "whsec_of_another")
        refused = [await client.post(route.path, content=b"{}", headers=headers) for _ in range(2)]
        assert [answer.status_code for answer in refused] == [400, 400]
        left = [int(re.search(r"r=(\d+)", answer.headers["ratelimit"])[1]) for answer in refused]
        assert max(left) <= 301 - 5


def now_s() -> int:
    return now_instant() // 1000
