"""What happens to the system while it is used: processes killed, restarted in order, all clients cut off at once."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field

from load.benchmarks.programs import System
from load.followers import Follower
from load.waiting import wait_until

RESTART_TIMEOUT_S = 40.0
PAUSE_S = (1.0, 3.0)
"""Between two kills: some hit processes that have hardly begun."""
STORM_EVERY_S = 8.0
BACK_WITHIN_S = 60.0
VICTIMS = ("server-0", "server-1", "server-0", "server-1", "worker", "redis", "nats", "postgres")


@dataclass(slots=True)
class Disturbed:
    """What a soak has to work with, and what has been done so far."""

    system: System
    followers: Sequence[Follower]
    random: random.Random
    violations: list[str]
    done: Counter[str] = field(default_factory=Counter)

    async def hit(self, name: str, signal_number: int) -> None:
        """Signal a process and wait until another has taken its place."""
        pid = self.system.pids().get(name)
        if pid is None:
            return  # still being started again
        os.kill(pid, signal_number)
        self.done[name] += 1
        if not await wait_until(lambda: self.system.pids().get(name, pid) != pid, RESTART_TIMEOUT_S, 0.05):
            self.violations.append(f"{name} was not started again within {RESTART_TIMEOUT_S:.0f} s")

    async def kills(self) -> None:
        """Kill -9 one process after another, each kind once before the next round, in another order each time."""
        while True:
            for name in self.random.sample(VICTIMS, len(VICTIMS)):
                await asyncio.sleep(self.random.uniform(*PAUSE_S))
                await self.hit(name, signal.SIGKILL)

    async def drain(self) -> None:
        """Restart the server processes in turn, as a new version is rolled out."""
        while True:
            for name in ("server-0", "server-1"):
                await asyncio.sleep(PAUSE_S[0])
                await self.hit(name, signal.SIGTERM)

    async def storm(self) -> None:
        """Cut everybody off in the same moment, again and again."""
        while True:
            before = time.monotonic()
            for follower in self.followers:
                follower.cut()
            self.done["cuts"] += 1
            await asyncio.sleep(0.5)
            if not await wait_until(
                lambda: all(follower.is_following for follower in self.followers), BACK_WITHIN_S, 0.05
            ):
                self.violations.append(f"not everybody was back within {BACK_WITHIN_S:.0f} s")
            await asyncio.sleep(max(0.5, STORM_EVERY_S - (time.monotonic() - before)))


@dataclass(frozen=True, slots=True)
class Soak:
    """One kind of soak."""

    what: str
    disturb: Callable[[Disturbed], Coroutine[object, object, None]]
    crowd: int
    """Followers beside those of the auctions, with tokens the server has not seen."""


SOAKS = {
    "kills": Soak("kill -9 of servers, worker, redis, nats, postgres at random", Disturbed.kills, 0),
    "drain": Soak("rolling restart of the server processes, again and again", Disturbed.drain, 0),
    "storm": Soak("everybody cut off at once, again and again", Disturbed.storm, 1_500),
}
