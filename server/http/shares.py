"""How much of something scarce each caller of one process holds: no caller has all of it."""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager

from handlers.contract import Caller
from protocols.addresses import networks_of
from protocols.errors import RateLimited, TemporarilyUnavailable

SITE_FACTOR = 8
"""How many times as much an IPv6 /48 may hold without a token as one of its /64."""


class Shares:
    """Counts what is held, in all and by each account, or by each network of callers without one."""

    def __init__(self, what: str) -> None:
        """Begin with nothing held; `what` is its name in refusals, in the plural."""
        self._what = what
        self._held: dict[Hashable, int] = {}
        self._held_by_all = 0

    @contextmanager
    def one_of(self, caller: Caller, in_all: int, each: int) -> Iterator[None]:
        """Hold one while inside. Raises: TemporarilyUnavailable when all are held, RateLimited for a caller's own."""
        holders = holders_of(caller, each)
        if self._held_by_all >= in_all:
            raise TemporarilyUnavailable(f"There are too many {self._what}; try again in a few seconds")
        if any(self._held.get(holder, 0) >= most for holder, most in holders):
            raise RateLimited(f"You have too many {self._what} at a time", retry_after_s=1)
        self._count(holders, 1)
        try:
            yield
        finally:
            self._count(holders, -1)

    def _count(self, holders: Sequence[tuple[Hashable, int]], change: int) -> None:
        self._held_by_all += change
        for holder, _ in holders:
            count = self._held.get(holder, 0) + change
            if count:
                self._held[holder] = count
            else:
                del self._held[holder]


def holders_of(caller: Caller, each: int) -> list[tuple[Hashable, int]]:
    """Return whom something counts against, and how many of theirs there may be."""
    if caller.user_id is not None:
        return [(caller.user_id, each)]
    own, site = networks_of(caller.remote_ip)
    holders: list[tuple[Hashable, int]] = [(own, each)]
    return [*holders, (site, SITE_FACTOR * each)] if site else holders
