"""Background tasks and their end, also of those whose driver swallows a cancellation."""

import asyncio
from collections.abc import Collection, Coroutine
from contextlib import AsyncExitStack
from typing import Any

REPEAT_S = 1.0
"""Wait for tasks to end before they are cancelled again: what they do in `finally` takes less."""


async def end_tasks(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks until all have ended; what they raise is dropped.

    nats-py swallows a cancellation that arrives while it flushes, and `asyncio.wait_for` of Python 3.11 one that
    arrives together with its result. A loop that was told only once would then run for ever.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=REPEAT_S)
    await asyncio.gather(*tasks, return_exceptions=True)


def run_beside(stack: AsyncExitStack, work: Coroutine[object, object, None], name: str) -> None:
    """Run something until the stack closes."""
    stack.callback(asyncio.create_task(work, name=name).cancel)
