"""Wrong passwords: who is locked out, who is not, who is told."""

import asyncio
import hashlib
import json

import pytest

from handlers.auth import DOMAIN
from handlers.auth.devices import hash_markers
from handlers.auth.rules import (
    ACCOUNT_ATTEMPTS_MAX,
    ACCOUNT_WINDOW_S,
    DEVICES_MAX,
    MARKERS_MAX,
    PAIR_ATTEMPTS_MAX,
    SITE_PAIR_ATTEMPTS_MAX,
)
from handlers.contract import Caller
from protocols.auth.commands import BadCredentials, Login, Register
from protocols.errors import RateLimited
from protocols.values import new_id
from storage.auth.devices_postgres import delete_old_devices
from storage.auth.login_attempts_redis import account_key
from tests.support.auth_system import PASSWORD
from tests.support.domains import timer_handlers

TIMERS = timer_handlers(DOMAIN)


@pytest.fixture
def network():
    """Another network of origin for each test."""
    return Caller(remote_ip=f"2001:db8:{new_id().hex[-4:]}:{new_id().hex[-8:-4]}::1")


async def sign_in(system, email, caller, device="", password=PASSWORD):
    """Return what a device shall show after signing in."""
    reply = await system.run("login", Login(email=email, password=password, device_token=device), caller)
    return reply["device_token"]


async def guess(system, email, caller, times, device=""):
    """Try wrong passwords at once; return how many were looked at."""
    results = await asyncio.gather(
        *(sign_in(system, email, caller, device, f"guess {n}") for n in range(times)), return_exceptions=True
    )
    assert {type(result) for result in results} <= {BadCredentials, RateLimited}
    return sum(isinstance(result, BadCredentials) for result in results)


async def told(system, user_id):
    """What the owner is told of guessing, once the worker has run."""
    for kind, handler in TIMERS.items():
        while await system.pipeline.run_timers(kind, handler, 500):
            pass
    events = [json.loads(text) for channel, text in system.published if channel == f"personal:#{user_id}"]
    return [event["refused"] for event in events if event["type"] == "password_guessed"]


async def test_wrong_passwords_lock_out_their_network_and_not_the_owner_elsewhere(system, network):
    member = await system.join()
    assert await guess(system, member.email, network, 15) == PAIR_ATTEMPTS_MAX
    with pytest.raises(RateLimited) as refused:
        await sign_in(system, member.email, network)
    assert 0 < refused.value.facts["retry_after_s"] <= 900
    assert await sign_in(system, member.email, Caller(remote_ip="198.51.100.77"))
    other = await system.join()
    assert await sign_in(system, other.email, network)


async def test_a_device_that_signed_in_before_is_let_through_in_the_same_network(system, network):
    member = await system.join()
    device = await sign_in(system, member.email, network)
    await guess(system, member.email, network, PAIR_ATTEMPTS_MAX)
    with pytest.raises(RateLimited):
        await sign_in(system, member.email, network)
    assert await sign_in(system, member.email, network, device) == device
    stranger = await system.join()
    strangers = await sign_in(system, stranger.email, Caller(remote_ip="198.51.100.78"))
    for shown in (strangers, "x" * 43, device[:-1], device + "." + "!" * 43):
        with pytest.raises(RateLimited):
            await sign_in(system, member.email, network, shown)


async def test_registering_makes_the_device_known(system, network):
    command = Register(email=f"{new_id().hex}@example.org", password=PASSWORD, display_name="New")
    device = (await system.run("register", command, network))["device_token"]
    await guess(system, command.email, network, PAIR_ATTEMPTS_MAX)
    assert await sign_in(system, command.email, network, device) == device


async def test_a_known_device_can_guess_no_more_than_a_network(system, network):
    member = await system.join()
    device = await sign_in(system, member.email, network)
    assert await guess(system, member.email, network, 15, device) == PAIR_ATTEMPTS_MAX
    with pytest.raises(RateLimited):
        await sign_in(system, member.email, network, device)
    assert await sign_in(system, member.email, network), "the others of its network are not locked out by it"


async def test_all_unknown_devices_together_have_an_hourly_budget(system):
    member = await system.join()
    device = await sign_in(system, member.email, Caller(remote_ip="198.51.100.79"))
    looked_at = 0
    for host in range(12):
        looked_at += await guess(
            system, member.email, Caller(remote_ip=f"203.0.113.{host}"), PAIR_ATTEMPTS_MAX
        )
    assert looked_at == ACCOUNT_ATTEMPTS_MAX
    new_place = Caller(remote_ip="198.51.100.80")
    with pytest.raises(RateLimited) as refused:
        await sign_in(system, member.email, new_place)
    assert 900 < refused.value.facts["retry_after_s"] <= ACCOUNT_WINDOW_S
    assert await sign_in(system, member.email, new_place, device) == device
    heard = await told(system, member.user_id)
    assert sorted(heard) == ["network", "unknown_devices"]


async def test_a_network_that_is_locked_out_uses_up_nothing_more(system, network):
    member = await system.join()
    await guess(system, member.email, network, PAIR_ATTEMPTS_MAX + 50)
    assert int(await system.redis.get(account_key(member.email))) == PAIR_ATTEMPTS_MAX


async def test_one_site_of_many_networks_does_not_use_up_the_accounts_budget(system):
    member = await system.join()
    looked_at = 0
    for part in range(6):
        here = Caller(remote_ip=f"2001:db8:77:{part:x}::1")
        looked_at += await guess(system, member.email, here, PAIR_ATTEMPTS_MAX)
    assert looked_at == SITE_PAIR_ATTEMPTS_MAX
    assert await sign_in(system, member.email, Caller(remote_ip="2001:db8:78::1"))


async def test_the_owner_is_told_once_and_of_no_account_nobody_is(system, network, pool):
    member = await system.join()
    await guess(system, member.email, network, PAIR_ATTEMPTS_MAX - 1)
    assert await told(system, member.user_id) == []
    await guess(system, member.email, network, 5)
    assert await told(system, member.user_id) == ["network"]
    before = await pool.fetchval("SELECT count(*) FROM events")
    ghost = f"{new_id().hex}@example.org"
    await guess(system, ghost, network, PAIR_ATTEMPTS_MAX)
    kinds = "SELECT count(*) FROM timers WHERE kind = 'notify_guessed'"
    assert await pool.fetchval(kinds) == 1, "the same is written for an account that does not exist"
    await told(system, member.user_id)
    assert (await pool.fetchval(kinds), await pool.fetchval("SELECT count(*) FROM events")) == (0, before)


async def test_accounts_that_exist_and_not_are_answered_alike_all_the_way(system):
    member = await system.join()
    answers = []
    for email, ip in ((member.email, "203.0.113.201"), ("no.such.one@example.org", "203.0.113.202")):
        heard = []
        for n in range(PAIR_ATTEMPTS_MAX + 1):
            with pytest.raises((BadCredentials, RateLimited)) as refused:
                await sign_in(system, email, Caller(remote_ip=ip), "y" * 43, f"guess {n}")
            heard.append((refused.value.code, set(refused.value.facts)))
        answers.append(heard)
    assert answers[0] == answers[1]
    assert [code for code, _ in answers[0]] == ["bad_credentials"] * PAIR_ATTEMPTS_MAX + ["rate_limited"]


async def test_markers_are_kept_hashed_the_most_lately_used_of_each_account(system, pool, network):
    member = await system.join()
    first = await sign_in(system, member.email, network)
    rows = await pool.fetch("SELECT marker_hash FROM known_devices WHERE user_id = $1", member.user_id)
    assert hashlib.sha256(first.encode()).digest() in {row["marker_hash"] for row in rows}
    await pool.execute(
        "UPDATE known_devices SET used_at_ms = 5 WHERE marker_hash = $1", hash_markers(first)[0]
    )
    for _ in range(DEVICES_MAX):
        await sign_in(system, member.email, network)
    count = "SELECT count(*) FROM known_devices WHERE user_id = $1"
    assert await pool.fetchval(count, member.user_id) == DEVICES_MAX
    assert await sign_in(system, member.email, network, first) != first, "the oldest was forgotten"


async def test_a_device_of_several_people_is_known_to_all_of_them(system, network):
    members = [await system.join() for _ in range(MARKERS_MAX + 1)]
    device = ""
    for member in members:
        device = await sign_in(system, member.email, network, device)
    for member in members[1:]:
        assert await sign_in(system, member.email, network, device) == device
    assert await sign_in(system, members[0].email, network, device) != device


async def test_devices_that_were_not_used_for_long_are_forgotten(system, pool, network):
    member = await system.join()
    device = await sign_in(system, member.email, network)
    await pool.execute(
        "UPDATE known_devices SET used_at_ms = 7 WHERE marker_hash = $1", hash_markers(device)[0]
    )
    async with pool.acquire() as db:
        assert await delete_old_devices(db, 8, 100) == 1
    assert await sign_in(system, member.email, network, device) != device
