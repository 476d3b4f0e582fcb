"""Whether this process takes one more connection: who is new waits before who is here is slowed down.

Asked before a websocket's upgrade and before a stream begins. A refusal is temporary (HTTP 503 with `Retry-After`), so
clients come back after a while, perhaps to another process. What is counted can only be full because of work that has
been taken on; sockets that connect and say nothing use no budget but their descriptor, and leave after ten seconds.
"""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from realtime.limits import Limits
from realtime.transport.writer import Counters, Writer

LEAVING, FULL, LATE, UNSENT, CONNECTING = "leaving", "full", "late", "unsent", "connecting"
REASONS = (LEAVING, FULL, LATE, UNSENT, CONNECTING)
"""The process ends · no descriptors left · the event loop lags · readers are behind · too many connects under way."""

RETRY_AFTER_S = (1, 3)
"""Refused clients are told to wait this long, at random: who was refused together shall not return together."""

TURN_S = 0.001
"""How long connections that come and go may take of each turn of the event loop, to the end of the step in hand: a
handshake, a token, an answer, a loss, 0.03 to 0.15 ms. A commit takes a dozen turns, and is later by as many times."""

LINE_MAX = 32
"""Steps that may wait before nobody else is taken from the kernel's queue: more than some turns can do."""

_log = logging.getLogger(__name__)


class RefusedConnection(NamedTuple):
    """A refused connection as HTTP tells it."""

    reason: str
    retry_after_s: int

    @property
    def text(self) -> str:
        """The body of the answer."""
        return f"This process takes no new connections now ({self.reason}); connect again.\n"


class Admission:
    """Judges for one hub; costs a few comparisons."""

    def __init__(
        self,
        connections: Collection[object],
        full: Collection[Writer],
        is_leaving: Callable[[], bool],
        limits: Limits,
        counters: Counters,
    ) -> None:
        """Look at the hub's connections and at those whose transport takes nothing; `watch` looks at the event loop."""
        self._connections, self._full, self._is_leaving = connections, full, is_leaving
        self._limits, self._counters = limits, counters
        self._line: deque[Callable[[], object]] = deque()
        self._is_moving = False
        self.connects = 0
        """Connect commands that wait for the gate, the bus or the log."""
        self.lag_s = 0.0
        """How late the event loop lately was: its worst tenth of a second, halved with each that passes."""
        self.unsent_bytes = 0
        """What waits for slow readers, in all their queues and transports together."""

    def check(self) -> RefusedConnection | None:
        """Return why a new connection has to wait, counted; None lets it in."""
        reason = self._reason()
        if not reason:
            return None
        refused = self._counters.refused
        refused[reason] = refused.get(reason, 0) + 1
        return RefusedConnection(reason, random.randint(*RETRY_AFTER_S))

    def enqueue(self, step: Callable[[], object]) -> None:
        """Take a step of a connection that comes or goes in its turn: a bounded time of each turn of the event loop."""
        self._line.append(step)
        if not self._is_moving:
            self._is_moving = True
            asyncio.get_running_loop().call_soon(self._move)

    def is_behind(self) -> bool:
        """Whether who is in already has to wait in line, so that who is outside may as well wait there."""
        return len(self._line) > LINE_MAX

    def _move(self) -> None:
        line, ends_at = self._line, time.perf_counter() + TURN_S
        try:
            while line:
                try:
                    line.popleft()()
                except Exception:  # noqa: BLE001 - a bug in one step must not hold up the line
                    _log.exception("a connection failed on its way in or out")
                if time.perf_counter() >= ends_at:
                    break
        finally:
            self._is_moving = bool(line)
            if self._is_moving:
                asyncio.get_running_loop().call_soon(self._move)

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """Count a connect as under way."""
        self.connects += 1
        try:
            yield
        finally:
            self.connects -= 1

    def _reason(self) -> str:
        limits = self._limits
        if self._is_leaving():
            return LEAVING
        if len(self._connections) >= limits.connections_max:
            return FULL
        if self.lag_s > limits.lag_max_s:
            return LATE
        if self.unsent_bytes > limits.unsent_bytes_max:
            return UNSENT
        return CONNECTING if self.connects >= limits.connects_at_once_max else ""

    async def watch(self) -> None:
        """Measure for ever."""
        loop, step_s = asyncio.get_running_loop(), self._limits.lag_step_s
        while True:
            due_s = loop.time() + step_s
            await asyncio.sleep(step_s)
            self.lag_s = max(loop.time() - due_s, self.lag_s / 2)
            self.unsent_bytes = sum(writer.waiting + writer.buffered() for writer in self._full)
