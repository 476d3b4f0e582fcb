"""Argon2id off the event loop: two threads, a bounded queue, one cost for known and unknown accounts.

Source: RFC 9106.
"""

import asyncio
import base64
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import argon2
from argon2.exceptions import VerifyMismatchError

from protocols.errors import TemporarilyUnavailable

T = TypeVar("T")

MEMORY_KIB = 85 * 1024
"""Memory of one hash; with `THREADS` threads a process needs at most twice this."""

THREADS = 2
"""Hashes at a time: each takes about 70 ms of two cores, which bids need too."""

WAITING_MAX = 64
"""Hashes that may wait, about three seconds of work; beyond that the answer is a temporary refusal at once."""


class PasswordHasher:
    """Hashes and checks passwords in threads of its own."""

    def __init__(
        self, *, memory_kib: int = MEMORY_KIB, threads: int = THREADS, waiting_max: int = WAITING_MAX
    ) -> None:
        """Prepare; threads start at first use."""
        self._argon2 = argon2.PasswordHasher(time_cost=1, memory_cost=memory_kib, parallelism=2)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._places = threads + waiting_max
        self._taken = 0
        self._nobody = self.unmatchable_hash()
        self.checks = 0
        """Checks made, for known and unknown accounts alike."""

    async def hash(self, password: str) -> str:
        """Return a new argon2id hash with its salt and parameters. Raises TemporarilyUnavailable."""
        return await self._run(lambda: self._argon2.hash(password))

    async def check(self, password: str, password_hash: str | None) -> bool:
        """Return whether they fit; None does the same work and never fits. Raises TemporarilyUnavailable."""
        self.checks += 1
        return await self._run(lambda: self._fits(password_hash or self._nobody, password))

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

    async def _run(self, work: Callable[[], T]) -> T:
        if self._taken >= self._places:
            raise TemporarilyUnavailable(
                "Too many people are signing in right now; try again in a few seconds"
            )
        self._taken += 1
        loop = asyncio.get_running_loop()
        future: Future[T] = self._pool.submit(work)
        # The place is free when the thread is, not when the caller hangs up.
        future.add_done_callback(lambda _: self._tell(loop))
        return await asyncio.wrap_future(future)

    def _tell(self, loop: asyncio.AbstractEventLoop) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        self._taken -= 1
