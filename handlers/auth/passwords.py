"""Argon2id off the event loop: two threads, a bounded queue, one cost for known and unknown accounts.

Source: RFC 9106.
"""

import asyncio
import base64
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import argon2
from argon2.exceptions import VerifyMismatchError

from protocols.errors import TemporarilyUnavailable

T = TypeVar("T")

Observer = Callable[[str, float, float], None]
"""Told of each piece of work that ended: `hash` or `check`, seconds it waited, seconds it took."""

MEMORY_KIB = 85 * 1024
"""Memory of one hash; with `THREADS` threads a process needs at most twice this."""

NICENESS = 10
"""Added to that of the process: where cores are scarce a bid has one before a hash has."""

THREADS = 2
"""Hashes at a time: each takes about 70 ms of two cores, which bids need too."""

HASH_S = 0.07
"""What a hash takes until the first one was measured."""

SMOOTHING = 0.1
"""Weight of the newest hash in the time that a hash is expected to take."""

WAITING_MAX = 64
"""Hashes that may wait, about three seconds of work; beyond that the answer is a temporary refusal at once."""


def _step_back() -> None:
    """Lower the priority of this thread and of those it starts; elsewhere than on Linux that is the process's."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)


class PasswordHasher:
    """Hashes and checks passwords in threads of its own."""

    def __init__(
        self, *, memory_kib: int = MEMORY_KIB, threads: int = THREADS, waiting_max: int = WAITING_MAX
    ) -> None:
        """Prepare; threads start at first use."""
        self._argon2 = argon2.PasswordHasher(time_cost=1, memory_cost=memory_kib, parallelism=2)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2", initializer=_step_back)
        self._places = threads + waiting_max
        self._taken, self._threads, self._hash_s = 0, threads, HASH_S
        self.refused = 0
        """Hashes that found no place."""
        self.observe: Observer | None = None
        self._nobody = self.unmatchable_hash()
        self.checks = 0
        """Checks made, for known and unknown accounts alike."""

    @property
    def waiting(self) -> int:
        """How many hashes wait for a thread."""
        return max(0, self._taken - self._threads)

    async def hash(self, password: str) -> str:
        """Return a new argon2id hash with its salt and parameters. Raises TemporarilyUnavailable."""
        return await self._run("hash", lambda: self._argon2.hash(password))

    async def check(self, password: str, password_hash: str | None) -> bool:
        """Return whether they fit; None does the same work and never fits. Raises TemporarilyUnavailable."""
        self.checks += 1
        return await self._run("check", lambda: self._fits(password_hash or self._nobody, password))

    def close(self) -> None:
        """Let running hashes end; start no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _fits(self, password_hash: str, password: str) -> bool:
        try:
            return self._argon2.verify(password_hash, password)
        except VerifyMismatchError:
            return False

    def unmatchable_hash(self) -> str:
        """Return a hash of today's cost whose digest is random, so that no known password leads to it."""
        used = self._argon2
        salt, digest = (
            base64.b64encode(os.urandom(size)).decode().rstrip("=") for size in (used.salt_len, used.hash_len)
        )
        cost = f"m={used.memory_cost},t={used.time_cost},p={used.parallelism}"
        return f"$argon2id$v=19${cost}${salt}${digest}"

    async def _run(self, kind: str, work: Callable[[], T]) -> T:
        if self._taken >= self._places:
            self.refused += 1
            wait_s = math.ceil(self._taken * self._hash_s / self._threads)
            raise TemporarilyUnavailable(
                f"Too many people are signing in right now; try again in {wait_s} s", retry_after_s=wait_s
            )
        self._taken += 1
        loop, asked_at, started_at = asyncio.get_running_loop(), time.perf_counter(), 0.0

        def run() -> T:
            nonlocal started_at
            started_at = time.perf_counter()
            return work()

        def ended(future: Future[T]) -> None:
            if not loop.is_closed():
                took_s = None if future.cancelled() else time.perf_counter() - started_at
                loop.call_soon_threadsafe(self._leave, kind, started_at - asked_at, took_s)

        future: Future[T] = self._pool.submit(run)
        # The place is free when the thread is, not when the caller hangs up.
        future.add_done_callback(ended)
        return await asyncio.wrap_future(future)

    def _leave(self, kind: str, waited_s: float, took_s: float | None) -> None:
        """Give the place back; `took_s` is None when the caller hung up before its turn came."""
        self._taken -= 1
        if took_s is None:
            return
        self._hash_s += SMOOTHING * (took_s - self._hash_s)
        if self.observe is not None:
            self.observe(kind, waited_s, took_s)
