"""Attempts at an account: counted before they are judged, given back when they were right."""

from collections.abc import Callable

from handlers.auth import rules
from handlers.auth.devices import hash_markers
from handlers.auth.tools import AuthTools
from handlers.contract import Caller, Preparation
from protocols.addresses import networks_of
from protocols.errors import RateLimited
from storage.auth.devices_postgres import find_device
from storage.auth.login_attempts_redis import (
    Counter,
    confirm_key,
    count_attempt,
    device_key,
    ip_key,
    pair_key,
)


async def count(before: Preparation, counters: list[Counter]) -> list[Counter]:
    """Count an attempt; return the counters that are full now. Raises RateLimited when one was."""
    wait_s, full = await count_attempt(before.redis, counters)
    if wait_s:
        raise RateLimited(f"Too many attempts; try again in {wait_s} s", retry_after_s=wait_s)
    return full


async def sign_in_counters(
    device_token: str, email: str, account: Counter, caller: Caller, before: Preparation
) -> list[Counter]:
    """Return what an attempt to sign in counts in, the account's own counter last; nothing where none are kept.

    A known device has a counter of its own alone. Cost: one round trip when a marker is shown.
    """
    if not before.need(AuthTools).limit_attempts:
        return []
    hashes = hash_markers(device_token)
    if hashes:
        async with before.connection() as db:
            known = await find_device(db, email, hashes)
        if known is not None:
            return [_counter(device_key(known, email), rules.PAIR_ATTEMPTS_MAX)]
    own, site = networks_of(caller.remote_ip)
    counters = [_counter(pair_key(own, email), rules.PAIR_ATTEMPTS_MAX, of_account=True)]
    if site:
        counters.append(_counter(pair_key(site, email), rules.SITE_PAIR_ATTEMPTS_MAX, of_account=True))
        counters.append(_counter(ip_key(site), rules.SITE_ATTEMPTS_MAX))
    if caller.remote_ip:
        counters.append(_counter(ip_key(own), rules.IP_ATTEMPTS_MAX))
    return [*counters, account]


def network_counters(
    caller: Caller, before: Preparation, key_of: Callable[[str], str], most: int
) -> list[Counter]:
    """Return what a network's requests of one kind count in; nothing where none are kept or no address is known."""
    if not caller.remote_ip or not before.need(AuthTools).limit_attempts:
        return []
    own, _ = networks_of(caller.remote_ip)
    return [_counter(key_of(own), most)]


def account_counter(key: str, most: int) -> Counter:
    """Return the counter of an account's attempts from all devices that it does not know."""
    return Counter(key=key, most=most, window_s=rules.ACCOUNT_WINDOW_S, of_account=True)


def own_counters(caller: Caller, before: Preparation) -> list[Counter]:
    """Return what an attempt counts in of who is signed in and shows a password or code again."""
    if not before.need(AuthTools).limit_attempts:
        return []
    return [_counter(confirm_key(caller.id), rules.PAIR_ATTEMPTS_MAX)]


def _counter(key: str, most: int, *, of_account: bool = False) -> Counter:
    return Counter(key=key, most=most, window_s=rules.WINDOW_S, of_account=of_account)
