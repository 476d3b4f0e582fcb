"""Waiting for something that tells nobody when it happens: deliveries counted by a callback, a process that starts."""

import asyncio
import time
from collections.abc import Callable


async def wait_until(condition: Callable[[], bool], timeout_s: float, step_s: float = 0.002) -> bool:
    """Return True once the condition holds, False when it does not within the time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(step_s)
    return True
