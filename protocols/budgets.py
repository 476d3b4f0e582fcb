"""Budgets that grow back: GCRA (the generic cell rate algorithm), one number per caller. Pure arithmetic.

REST, RPC and connections judge by it, and each keeps the number where it needs it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from protocols.errors import RateLimited


@dataclass(frozen=True)
class Rule:
    """`count` units per `period_s`, of which `burst` more than one may come at once."""

    name: str
    count: int
    period_s: int
    burst: int

    @cached_property
    def unit_us(self) -> int:
        """Microseconds one unit takes to grow back (T)."""
        return self.period_s * 1_000_000 // self.count

    @cached_property
    def tolerance_us(self) -> int:
        """How far ahead of the clock a caller may be before its next unit (tau)."""
        return self.unit_us * self.burst

    @cached_property
    def limit(self) -> int:
        """Units of an untouched budget."""
        return self.burst + 1


class Verdict(NamedTuple):
    """What a limiter answered."""

    rule: Rule
    allowed: bool
    remaining: int
    """Units left now."""
    retry_us: int
    """Until the refused call would be allowed; 0 when it was allowed."""
    reset_us: int
    """Until the budget is whole again."""

    def check(self) -> None:
        """Raises RateLimited unless the call was allowed."""
        if not self.allowed:
            raise RateLimited(
                f"Too many requests; wait {seconds_up(self.retry_us)} s",
                retry_after_s=seconds_up(self.retry_us),
            )


def seconds_up(microseconds: int) -> int:
    """Return whole seconds, rounded up: a client that waits them is let in."""
    return -(-microseconds // 1_000_000)


def decide(tat_us: int, now_us: int, cost: int, rule: Rule) -> tuple[Verdict, int]:
    """Return the verdict on a call, and the theoretical arrival time (TAT) to keep.

    Pure. tat' = max(tat, now) + cost·T; allowed iff now >= tat' - tau - T; a refused call keeps the old TAT.
    """
    start = max(tat_us, now_us)
    after = start + cost * rule.unit_us
    earliest = after - rule.tolerance_us - rule.unit_us
    if now_us < earliest:
        room = rule.tolerance_us + rule.unit_us - (start - now_us)
        return Verdict(rule, False, max(room // rule.unit_us, 0), earliest - now_us, start - now_us), tat_us
    return Verdict(rule, True, (now_us - earliest) // rule.unit_us, 0, after - now_us), after
