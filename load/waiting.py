"""Waiting: for something that tells nobody when it happens, and for many jobs of which some run at once."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

AT_ONCE = 64
"""Jobs under way at the same time; of handshakes more would only fill the server's accept queue."""

T = TypeVar("T")


async def wait_until(condition: Callable[[], bool], timeout_s: float, step_s: float = 0.002) -> bool:
    """Return True once the condition holds, False when it does not within the time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(step_s)
    return True


async def gather_some(jobs: Iterable[Callable[[], Awaitable[T]]], at_once: int = AT_ONCE) -> list[T]:
    """Return the results of all jobs in order; at most `at_once` run at the same time. Raises the first error."""
    gate = asyncio.Semaphore(at_once)

    async def run(job: Callable[[], Awaitable[T]]) -> T:
        async with gate:
            return await job()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run(job)) for job in jobs]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
