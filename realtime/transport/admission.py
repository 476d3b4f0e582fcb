"""Admission: whether this process takes one more connection, and when its handshake and connect are served.

Under load new connections are refused or wait, so that existing ones are not slowed down. The check runs before the
handshake of a websocket is answered and before a stream begins. A refusal is temporary (HTTP 503 with `Retry-After`):
the client connects again after a while, perhaps to another process. Idle sockets count as connections only; those that
send nothing are closed after ten seconds.
"""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import NamedTuple

from protocols.errors import TemporarilyUnavailable
from realtime.limits import Limits
from realtime.transport.writer import Counters, Writer

LEAVING, BEHIND, FULL = "leaving", "behind", "full"
LATE, UNSENT, CONNECTING = "late", "unsent", "connecting"
REASONS = (LEAVING, BEHIND, FULL, LATE, UNSENT, CONNECTING)
"""The process stops · channels may be behind and nothing is there to compare them with · no descriptors left · the
event loop lags · slow readers · too many connects under way."""

RETRY_AFTER_S = (1, 3)
"""Refused clients are told to wait so long, at random, so that they do not all return in the same moment."""

TURN_S = 0.001
"""The time that queued steps may take of each turn of the event loop; the last one is finished. A step is a handshake,
a token, an answer or a cleanup, 0.03 to 0.15 ms. A commit takes a dozen turns, and is delayed by as many times this."""

QUEUE_MAX = 32
"""Queued steps above which no connection is accepted from the kernel's queue: more than some turns can serve."""

_log = logging.getLogger(__name__)


class RefusedConnection(NamedTuple):
    """What the HTTP answer of a refused connection says."""

    reason: str
    retry_after_s: int

    @property
    def refusal(self) -> TemporarilyUnavailable:
        """What the answer says."""
        text = f"This process takes no new connections now ({self.reason}); connect again"
        return TemporarilyUnavailable(text, retry_after_s=self.retry_after_s)


class Admission:
    """The admission of one hub."""

    def __init__(
        self,
        connections: Collection[object],
        full: Collection[Writer],
        is_leaving: Callable[[], bool],
        limits: Limits,
        counters: Counters,
    ) -> None:
        """Watch the hub's connections, and those of them whose transport is full."""
        self._connections, self._full, self._is_leaving = connections, full, is_leaving
        self._limits, self._counters = limits, counters
        self._queue: deque[Callable[[], object]] = deque()
        self._is_running = False
        self.is_behind_log: Callable[[], bool] = lambda: False
        """Whether channels may be behind and nothing is there to compare them with."""
        self.connects = 0
        """Connect commands that wait for the application, the bus or the log."""
        self.lag_s = 0.0
        """Lateness of the event loop: the latest measurement, or half the value before when that is more."""
        self.unsent_bytes = 0
        """Bytes that wait for slow readers, in their queues and transports together."""

    def check(self) -> RefusedConnection | None:
        """Return and count why a new connection is refused; None admits it. Cost: a few comparisons."""
        reason = self._reason()
        if not reason:
            return None
        refused = self._counters.refused
        refused[reason] = refused.get(reason, 0) + 1
        return RefusedConnection(reason, random.randint(*RETRY_AFTER_S))

    def enqueue(self, step: Callable[[], object]) -> None:
        """Run a step of a handshake, connect or cleanup later, in order; steps share `TURN_S` of each turn."""
        self._queue.append(step)
        if not self._is_running:
            self._is_running = True
            asyncio.get_running_loop().call_soon(self._run_queue)

    def is_behind(self) -> bool:
        """Whether so many steps wait that new connections should stay in the kernel's queue."""
        return len(self._queue) > QUEUE_MAX

    def _run_queue(self) -> None:
        queue, ends_at = self._queue, time.perf_counter() + TURN_S
        try:
            while queue:
                try:
                    queue.popleft()()
                except Exception:  # noqa: BLE001 - a bug in one step must not stop the queue
                    _log.exception("a queued step of a connection failed")
                if time.perf_counter() >= ends_at:
                    break
        finally:
            self._is_running = bool(queue)
            if self._is_running:
                asyncio.get_running_loop().call_soon(self._run_queue)

    def _reason(self) -> str:
        limits = self._limits
        if self._is_leaving():
            return LEAVING
        if self.is_behind_log():
            return BEHIND
        if len(self._connections) >= limits.connections_max:
            return FULL
        if self.lag_s > limits.lag_max_s:
            return LATE
        if self.unsent_bytes > limits.unsent_bytes_max:
            return UNSENT
        return CONNECTING if self.connects >= limits.connects_at_once_max else ""

    async def watch(self) -> None:
        """Measure lateness and unsent bytes every `lag_step_s`, for ever."""
        loop, step_s = asyncio.get_running_loop(), self._limits.lag_step_s
        while True:
            due_s = loop.time() + step_s
            await asyncio.sleep(step_s)
            self.lag_s = max(loop.time() - due_s, self.lag_s / 2)
            self.unsent_bytes = sum(writer.waiting + writer.buffered() for writer in self._full)
