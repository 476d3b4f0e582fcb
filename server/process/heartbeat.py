"""The event loop's proof that it turns: a beat for the supervisor, and how late it came as a metric.

The timer runs among the callbacks that serve clients. A process that is stopped, or whose loop does not come out of one
callback, does not beat, and whoever started it sees that (`server.local.supervisor`).
"""

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable

BEAT_EVERY_S = 0.5
"""Often enough for a limit of 3 s; costs some twenty microseconds a second."""

LAGS_KEPT = 30
"""The metric shows the largest lag of so many beats, 15 s: a scrape sees a pause that lies between two scrapes."""


class Heartbeat:
    """Beats from `start` until the loop closes."""

    def __init__(self, show_lag: Callable[[float], object], fd: int | None = None) -> None:
        """Show the lag in seconds; beat on the descriptor when a supervisor gave one. Programs we start do not get it.

        Raises OSError when the descriptor is not open.
        """
        if fd is not None:
            os.set_inheritable(fd, False)
        self._show_lag, self._fd = show_lag, fd
        self._lags: deque[float] = deque(maxlen=LAGS_KEPT)
        self._due = 0.0

    def start(self) -> None:
        """Beat now and from now on."""
        self._due = time.monotonic()
        self._beat()

    def _beat(self) -> None:
        now = time.monotonic()  # the loop's own clock stands still within a turn
        self._lags.append(max(0.0, now - self._due))
        self._show_lag(max(self._lags))
        if self._fd is not None:
            with contextlib.suppress(OSError):  # full while the supervisor does not read, or it is gone
                os.write(self._fd, b".")
        self._due = now + BEAT_EVERY_S
        asyncio.get_running_loop().call_later(BEAT_EVERY_S, self._beat)
