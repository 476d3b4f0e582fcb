"""Failed sign-ins, counted in Redis by network of origin, by account, by both together, and by known device.

An attempt is counted before the password is checked and given back when it was right, so that a thousand attempts at
once cannot all pass the check first. It is counted everywhere or, where one counter is full, nowhere: what a network
is refused makes no keys and takes nothing from the account's own budget. A key `auth:attempts:…` lives for one window
from its first count; the mail address itself is not stored. The keys of one network are bounded by its own counter.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import structlog

from storage.engines.redis import OUTAGE, Redis

_SCRIPT = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """How many attempts a window has room for."""

    key: str
    most: int
    window_s: int
    of_account: bool = False
    """Its owner is told when it is full."""


def account_key(email: str) -> str:
    """Return the counter of an account, existing or not."""
    return f"auth:attempts:account:{_digest(email)}"


def code_key(user_id: UUID) -> str:
    """Return the counter of the codes that are shown for an account."""
    return f"auth:attempts:code:{user_id}"


def ip_key(network: str) -> str:
    """Return the counter of a network of origin, one of `networks_of` an address."""
    return f"auth:attempts:ip:{network}"


def pair_key(network: str, email: str) -> str:
    """Return the counter of a network of origin at one account."""
    return f"auth:attempts:pair:{network}:{_digest(email)}"


def device_key(marker_hash: bytes, email: str) -> str:
    """Return the counter of a known device at one account."""
    return f"auth:attempts:device:{marker_hash.hex()[:32]}:{_digest(email)}"


def reset_key(network: str) -> str:
    """Return the counter of a network that asks for new passwords."""
    return f"auth:attempts:reset:{network}"


def mail_key(network: str) -> str:
    """Return the counter of a network that has tokens mailed to addresses it names."""
    return f"auth:attempts:mail:{network}"


def confirm_key(user_id: UUID) -> str:
    """Return the counter of an account whose password is asked again."""
    return f"auth:attempts:confirm:{user_id}"


async def count_attempt(redis: Redis, counters: Sequence[Counter]) -> tuple[int, list[Counter]]:
    """Count one attempt everywhere; return the seconds to wait (0: it was counted) and the counters that are full now.

    Without Redis every attempt is the first: signing in still works, and the password hasher's own bound remains.
    Cost: one round trip.
    """
    if not counters:
        return 0, []
    rules = [number for counter in counters for number in (counter.most, counter.window_s)]
    try:
        wait_s, *full = await redis.register_script(_SCRIPT)(
            keys=[counter.key for counter in counters], args=rules
        )
    except OUTAGE as error:
        _log.warning("login_attempts_uncounted", error=type(error).__name__)
        return 0, []
    return int(wait_s), [counters[place - 1] for place in full]


async def give_back(redis: Redis, counters: Sequence[Counter]) -> None:
    """Take one attempt back from every counter. Cost: one round trip."""
    try:
        async with redis.pipeline(transaction=True) as batch:
            for counter in counters:
                batch.decr(counter.key)
                # The window may have ended meanwhile; no key lives for ever.
                batch.expire(counter.key, counter.window_s, nx=True)
            await batch.execute()
    except OUTAGE as error:
        _log.warning("login_attempts_uncounted", error=type(error).__name__)


def _digest(email: str) -> str:
    return hashlib.sha256(email.encode()).hexdigest()[:32]
