"""Group commit: requests that arrive while a commit is under way form the next one.

Generic: it knows nothing of domains or databases. `commit(batch)` must apply the whole batch in one transaction and
return one result per request, in order: an answer, or an exception for a request that was refused. When `commit`
raises, nothing was written: the batch runs again one by one, so that a request that breaks the transaction harms no
other.
Source: DESIGN section 5 (measured 10-17 times the throughput of a transaction each).
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from protocols.errors import Fault, TemporarilyUnavailable

R = TypeVar("R")
A = TypeVar("A")

BATCH_MAX = 500
"""Requests per transaction: at 15,000 a second a commit of 20 ms collects 300; more only lengthens the lock."""

QUEUE_MAX = 10_000
"""Requests that may wait; beyond that the answer is a temporary refusal at once (0.5 s of work at full speed)."""


class GroupCommit(Generic[R, A]):
    """One queue, one transaction at a time."""

    def __init__(
        self,
        commit: Callable[[Sequence[R]], Awaitable[Sequence[A | Exception]]],
        observe: Callable[[int, float], None] = lambda _requests, _seconds: None,
    ) -> None:
        """Prepare; `start` begins to work. `observe` is told each batch's size and seconds."""
        self._commit = commit
        self._observe = observe
        self._waiting: deque[tuple[R, asyncio.Future[A]]] = deque()
        self._wake = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Begin to commit what is submitted."""
        self._worker = self._loop.create_task(self._work(), name="group-commit")

    def submit(self, request: R) -> "asyncio.Future[A]":
        """Return a future that resolves once the request's effect is durable, or with the reason it was refused.

        Raises: TemporarilyUnavailable when too many wait already.
        """
        if len(self._waiting) >= QUEUE_MAX:
            raise TemporarilyUnavailable(
                "The server has more of these commands than it can commit; try again"
            )
        future: asyncio.Future[A] = self._loop.create_future()
        self._waiting.append((request, future))
        self._wake.set()
        return future

    async def close(self) -> None:
        """Finish what was submitted, then stop."""
        pending = [future for _, future in self._waiting]
        await asyncio.gather(*pending, return_exceptions=True)
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    async def _work(self) -> None:
        waiting = self._waiting
        while True:
            await self._wake.wait()
            batch = [waiting.popleft() for _ in range(min(len(waiting), BATCH_MAX))]
            started = time.perf_counter()
            try:
                await self._run(batch)
            except BaseException:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(TemporarilyUnavailable("The server is stopping; try again"))
                raise
            self._observe(len(batch), time.perf_counter() - started)
            if not waiting:
                self._wake.clear()

    async def _run(self, batch: Sequence[tuple[R, "asyncio.Future[A]"]]) -> None:
        try:
            results = await self._commit([request for request, _ in batch])
        except (
            Fault
        ) as fault:  # the machine is away: a second try would only take longer, for those who wait too
            batch = [*batch, *self._waiting]
            self._waiting.clear()
            results = [fault] * len(batch)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is answered, to its own request only
            if len(batch) > 1:
                for one in batch:
                    await self._run([one])
                return
            results = [error]
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
