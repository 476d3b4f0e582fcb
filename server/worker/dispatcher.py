"""The dispatcher: runs turns of named kinds of work while they have some, a few side by side.

It looks by itself every second, and for what becomes due sooner; a wake makes it look at once. A turn is one step of a
kind: a batch of reactions, a job.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

import structlog

from protocols.errors import Fault
from protocols.values import now_instant
from storage.engines.postgres import Connection, Database

SLEEP_MAX_MS = 1_000
"""Longest sleep without looking: covers a lost wake."""

FAULT_WAIT_S = 0.2
"""Wait after a turn that failed because a machine is away."""

ERROR_WAIT_S = 1.0
"""Wait after a turn that failed by a mistake of ours."""

Turn = Callable[[str, Callable[[], None]], Awaitable[bool]]
"""Does one step of a kind; returns False when nothing was due. It calls its second argument as soon as it knows that
there may be more than it takes."""

FindDue = Callable[[Connection, Sequence[str]], Awaitable[Mapping[str, int]]]
"""Returns when each of these kinds is due next, in ms, without those that have nothing."""

_log = structlog.get_logger()


class Dispatcher:
    """The turns of one worker process."""

    def __init__(
        self,
        database: Database,
        find_due: FindDue,
        turn: Turn,
        lanes: Mapping[str, int],
        wake_others: Callable[[Collection[str]], None] = lambda _names: None,
    ) -> None:
        """Prepare; `run` works until cancelled. `lanes` says how many turns of each kind go side by side."""
        self._database = database
        self._find_due = find_due
        self._turn = turn
        self._lanes = lanes
        self._wake_others = wake_others
        self._running: defaultdict[str, int] = defaultdict(int)
        self._again: set[str] = set()
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Work until cancelled; faults are retried."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                while True:
                    wait_ms = await self._look()
                    await asyncio.sleep(wait_ms / 1000)
        finally:
            self._tasks = None

    def wake(self, name: str) -> None:
        """Run turns of a kind now; a turn under way may have looked before there was work, so it looks again."""
        if name not in self._lanes or self._tasks is None:
            return
        if self._running[name] < self._lanes[name]:
            self._running[name] += 1
            self._tasks.create_task(self._drain(name), name=f"work-{name}")
        else:
            self._again.add(name)

    async def _look(self) -> int:
        """Start what is due; return how many ms to wait until the next look."""
        try:
            async with self._database.connection() as db:
                due = await self._find_due(db, list(self._lanes))
        except Fault:
            return SLEEP_MAX_MS
        except Exception:  # noqa: BLE001 - the loop outlives any bug; it is logged and tried again
            _log.exception("look_failed")
            return SLEEP_MAX_MS
        now_ms = now_instant()
        for name, due_at_ms in due.items():
            if due_at_ms <= now_ms and self._running[name] < self._lanes[name]:
                self.wake(name)  # beside a turn that may take long
        waits = [due_at_ms - now_ms for due_at_ms in due.values() if due_at_ms > now_ms]
        return min([*waits, SLEEP_MAX_MS])

    async def _drain(self, name: str) -> None:
        """Run turns of a kind until one finds nothing."""

        def call_helpers() -> None:
            self.wake(name)
            self._wake_others([name])

        try:
            while True:
                self._again.discard(name)
                try:
                    found = await self._turn(name, call_helpers)
                except Fault as fault:
                    _log.warning("work_waits", name=name, reason=fault.detail)
                    await asyncio.sleep(FAULT_WAIT_S)
                    return
                except Exception:  # noqa: BLE001 - the loop outlives any bug; it is logged and tried again
                    _log.exception("work_failed", name=name)
                    await asyncio.sleep(ERROR_WAIT_S)
                    return
                if not found and name not in self._again:
                    return
        finally:
            self._running[name] -= 1
