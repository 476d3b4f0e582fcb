"""Rate limits: GCRA (the generic cell rate algorithm), one number per caller, by cost units of routes.

REST asks Redis, so that all processes share one budget; RPC asks this process's memory, because a round trip per bid
would cost more than the bid (decision 20). Both run the same arithmetic.
"""

import time
from collections.abc import Callable, Hashable

import structlog

from handlers.contract import Caller
from protocols.addresses import networks_of
from protocols.budgets import Rule, Verdict, decide
from protocols.errors import Fault
from storage.platform.ratelimits_redis import RateLimitStore

_log = structlog.get_logger()


USER_RULE = Rule("user", count=3000, period_s=60, burst=250)
"""A signed-in user: 50 units a second for as long as they like, 251 at once. A keen bidder sends a few a second."""

ANONYMOUS_RULE = Rule("ip", count=600, period_s=60, burst=300)
"""An address without a token: 10 units a second, 301 at once. A household behind one address browses with about one;
a hundred people of one office may sign in together (3 units each)."""

SITE_RULE = Rule("site", count=4800, period_s=60, burst=2400)
"""All of an IPv6 /48 without a token: eight times the budget of a /64 in it. A customer may be given a /48, which has
65,536 of those; it may also be many customers' who browse at once."""

OUTAGE_PAUSE_S = 1.0
"""After Redis failed, this long nobody waits for it again."""

LOCAL_KEYS_MAX = 100_000
"""Callers remembered per process (about 15 MB); the oldest tenth is forgotten when it is full and none has expired."""


Budgets = tuple[tuple[Hashable, Rule], ...]
"""Whose budgets a call takes from, in order: one that the first refuses takes nothing from the second."""


def budgets_of(caller: Caller) -> Budgets:
    """Return whose budgets a call takes from: the user's, else those of the networks of the address."""
    if caller.user_id is not None:
        return ((caller.user_id, USER_RULE),)
    own, site = networks_of(caller.remote_ip)
    return ((own, ANONYMOUS_RULE), (site, SITE_RULE)) if site else ((own, ANONYMOUS_RULE),)


def stricter(one: Verdict, other: Verdict) -> Verdict:
    """Return the verdict that says more about the next call: a refusal, else the one with fewer units left."""
    return min(one, other, key=lambda verdict: (verdict.allowed, verdict.remaining))


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1000


class LocalLimits:
    """Budgets in this process's memory."""

    def __init__(self, now_us: Callable[[], int] = _monotonic_us, keys_max: int = LOCAL_KEYS_MAX) -> None:
        """Start with every budget whole."""
        self._now_us = now_us
        self._keys_max = keys_max
        self._tats: dict[Hashable, int] = {}

    def take(self, key: Hashable, rule: Rule, cost: int) -> Verdict:
        """Take `cost` units from a budget, or none when it has fewer."""
        now_us = self._now_us()
        known = self._tats.get(key)
        if known is None and len(self._tats) >= self._keys_max:
            self._forget(now_us)
        verdict, self._tats[key] = decide(known or 0, now_us, cost, rule)
        return verdict

    def take_all(self, budgets: Budgets, cost: int) -> Verdict:
        """Take `cost` units from each budget until one has fewer; return the verdict that leaves the least."""
        verdict = self.take(*budgets[0], cost)
        for key, rule in budgets[1:]:
            if not verdict.allowed:
                break
            verdict = stricter(verdict, self.take(key, rule, cost))
        return verdict

    def _forget(self, now_us: int) -> None:
        """Drop budgets that are whole again, else the tenth that was met first."""
        self._tats = {key: tat for key, tat in self._tats.items() if tat > now_us}
        if len(self._tats) > self._keys_max * 9 // 10:
            for key in list(self._tats)[: self._keys_max // 10 or 1]:
                del self._tats[key]


class SharedLimits:
    """Budgets in Redis; while it is away, those of this process: an outage neither refuses calls nor lifts limits."""

    def __init__(
        self,
        store: RateLimitStore,
        on_outage: Callable[[], None] = lambda: None,
        local: LocalLimits | None = None,
    ) -> None:
        """Use a store; `on_outage` counts calls that were judged without it."""
        self._store = store
        self._on_outage = on_outage
        self._local = local or LocalLimits()
        self._away_until = 0.0

    async def take(self, caller: Caller, cost: int) -> Verdict:
        """Take `cost` units from each of the caller's budgets until one has fewer.

        Cost: one round trip, two for an IPv6 address without a token.
        """
        budgets = budgets_of(caller)
        verdict: Verdict | None = None
        for key, rule in budgets:
            taken = await self._take(key, rule, cost)
            verdict = taken if verdict is None else stricter(verdict, taken)
            if not verdict.allowed:
                break
        assert verdict is not None, "every caller has a budget"
        return verdict

    async def _take(self, key: Hashable, rule: Rule, cost: int) -> Verdict:
        if time.monotonic() >= self._away_until:
            try:
                allowed, remaining, retry_us, reset_us = await self._store.take(
                    f"{rule.name}:{key}", rule.unit_us, rule.tolerance_us, cost
                )
            except Fault as fault:
                self._away_until = time.monotonic() + OUTAGE_PAUSE_S
                _log.warning("rate_limits_local", reason=fault.detail)
            else:
                return Verdict(rule, allowed, remaining, retry_us, reset_us)
        self._on_outage()
        return self._local.take(key, rule, cost)
