"""One wheel for every deadline of every connection: pings, pongs, token expiry, connects that never come."""

import asyncio
import logging
from typing import Protocol

_log = logging.getLogger(__name__)


class Ticking(Protocol):
    """Something the wheel wakes."""

    slot: int
    """Where it hangs; -1 when it does not."""

    def due(self, now_s: float) -> float:
        """Do what is due; return seconds until the next time, or a negative number to leave the wheel."""
        ...


class Wheel:
    """Wakes its members within one step after they asked; adding and removing cost one set operation."""

    SLOTS = 64

    def __init__(self, loop: asyncio.AbstractEventLoop, step_s: float) -> None:
        """Stand still until `start`."""
        self._loop, self._step_s = loop, step_s
        self._slots: list[set[Ticking]] = [set() for _ in range(self.SLOTS)]
        self._now = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to turn."""
        self._timer = self._loop.call_later(self._step_s, self._turn)

    def stop(self) -> None:
        """Turn no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def schedule(self, member: Ticking, delay_s: float) -> None:
        """Wake `member` after `delay_s`, rounded up to a step; longer than a turn means once per turn."""
        self.remove(member)
        steps = min(max(1, int(delay_s / self._step_s) + 1), self.SLOTS - 1)
        member.slot = (self._now + steps) % self.SLOTS
        self._slots[member.slot].add(member)

    def remove(self, member: Ticking) -> None:
        """Wake it no more."""
        if member.slot >= 0:
            self._slots[member.slot].discard(member)
            member.slot = -1

    def _turn(self) -> None:
        self._timer = self._loop.call_later(self._step_s, self._turn)
        self._now = (self._now + 1) % self.SLOTS
        members, self._slots[self._now] = self._slots[self._now], set()
        now_s = self._loop.time()
        for member in members:
            if member.slot != self._now:
                continue  # removed by a neighbour's turn
            member.slot = -1
            try:
                delay_s = member.due(now_s)
            except Exception:  # noqa: BLE001 - a bug in one member must not take its neighbours off the wheel
                _log.exception("a deadline could not be served")
                continue
            if delay_s >= 0:
                self.schedule(member, delay_s)
