"""Whether this process can still vouch for its replayed channels: that nothing is missing for longer than a bound.

The bus shows new numbers at once; while it is silent the log is compared again and again. With both out of reach a
channel may be behind by any amount and nobody can tell. Past the bound clients are told, and new ones refused, until
a comparison with the log has worked: another process, or this one later, gives them what they missed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from realtime.limits import Limits
from realtime.transport.writer import Counters

_log = logging.getLogger(__name__)


class Vouching:
    """The time since a channel's position could be told, and what follows from it."""

    def __init__(
        self,
        is_silent: Callable[[], bool],
        tell: Callable[[], Awaitable[int]],
        limits: Limits,
        counters: Counters,
    ) -> None:
        """Watch the bus; `tell` disconnects all and returns how many that were."""
        self._is_silent, self._tell = is_silent, tell
        self._limits, self._counters = limits, counters
        self._steps = 0
        self.is_lost = False
        """Whether the bound is passed and no comparison has worked since."""

    def compared(self) -> None:
        """The log was asked for every replayed channel, and answered."""
        self._steps = 0
        if self.is_lost:
            self.is_lost = False
            _log.warning("channels are compared with the log again: connections are taken")

    async def watch(self) -> None:
        """Count the time, for ever: in steps, so that a process that stood still itself has lost one step only."""
        limits = self._limits
        while True:
            await asyncio.sleep(limits.vouch_step_s)
            if self.is_lost:
                continue
            self._steps = self._steps + 1 if self._is_silent() else 0
            if self._steps * limits.vouch_step_s > limits.unvouched_max_s:
                self.is_lost = True
                told = await self._tell()
                self._counters.unvouched_cuts += told
                _log.warning(
                    "bus and log are out of reach for %g s: %d connections are told to come again",
                    limits.unvouched_max_s,
                    told,
                )
