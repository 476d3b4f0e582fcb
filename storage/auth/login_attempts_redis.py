"""Failed sign-ins, counted in Redis per account and per network of origin.

An attempt is counted before the password is checked and given back when it was right, so that a thousand attempts at
once cannot all pass the check first. Keys `auth:attempts:account:<digest>` and `auth:attempts:ip:<network>` live for
one window from their first count; the mail address itself is not stored.
"""

import hashlib

import structlog

from storage.engines.redis import OUTAGE, Redis

WINDOW_S = 900
"""Fifteen minutes: long enough to make guessing hopeless, short enough that an owner shut out waits it out."""

_log = structlog.get_logger()


def account_key(email: str) -> str:
    """Return the counter of an account, existing or not."""
    return f"auth:attempts:account:{hashlib.sha256(email.encode()).hexdigest()[:32]}"


def ip_key(network: str) -> str:
    """Return the counter of a network of origin, one of `networks_of` an address."""
    return f"auth:attempts:ip:{network}"


async def count_attempt(redis: Redis, key: str) -> tuple[int, int]:
    """Count one attempt; return how many the window has, and in how many seconds it ends.

    Without Redis every attempt is the first: signing in still works, and the password hasher's own bound remains.
    Cost: one round trip.
    """
    try:
        async with redis.pipeline(transaction=True) as batch:
            batch.incr(key)
            batch.expire(key, WINDOW_S, nx=True)
            batch.ttl(key)
            count, _, wait_s = await batch.execute()
    except OUTAGE as error:
        _log.warning("login_attempts_uncounted", error=type(error).__name__)
        return 1, 0
    return int(count), max(1, int(wait_s))


async def give_back(redis: Redis, key: str) -> None:
    """Take one attempt back from a counter. Cost: one round trip."""
    try:
        async with redis.pipeline(transaction=True) as batch:
            batch.decr(key)
            batch.expire(key, WINDOW_S, nx=True)  # the window may have ended meanwhile; no key lives for ever
            await batch.execute()
    except OUTAGE as error:
        _log.warning("login_attempts_uncounted", error=type(error).__name__)
