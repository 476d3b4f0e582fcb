"""A timer wheel for the deadlines of all connections: pings, pongs, expiring tokens, missing connects."""

import asyncio
import logging
from typing import Protocol

_log = logging.getLogger(__name__)


class Ticking(Protocol):
    """An object with deadlines."""

    slot: int
    """Its slot of the wheel; -1 when it is in none."""

    def due(self, now_s: float) -> float:
        """Do what is due; return seconds until the next time, or a negative number to leave the wheel."""
        ...


class Wheel:
    """Calls `due` of its members within one step after the time they asked for.

    Cost: adding and removing a member is one set operation.
    """

    SLOTS = 64

    def __init__(self, loop: asyncio.AbstractEventLoop, step_s: float) -> None:
        """Make an empty wheel that is not running."""
        self._loop, self._step_s = loop, step_s
        self._slots: list[set[Ticking]] = [set() for _ in range(self.SLOTS)]
        self._now = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to run."""
        self._timer = self._loop.call_later(self._step_s, self._turn)

    def stop(self) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def schedule(self, member: Ticking, delay_s: float) -> None:
        """Call `due` of the member after `delay_s`, rounded up to a step, or after one turn of the wheel if earlier."""
        self.remove(member)
        steps = min(max(1, int(delay_s / self._step_s) + 1), self.SLOTS - 1)
        member.slot = (self._now + steps) % self.SLOTS
        self._slots[member.slot].add(member)

    def remove(self, member: Ticking) -> None:
        """Remove a member, if it is in a slot."""
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
                continue  # removed while another member of the slot was served
            member.slot = -1
            try:
                delay_s = member.due(now_s)
            except Exception:  # noqa: BLE001 - a bug in one member must not stop the others
                _log.exception("a deadline could not be served")
                continue
            if delay_s >= 0:
                self.schedule(member, delay_s)
