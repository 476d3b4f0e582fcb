"""Wait for a state instead of a time: a slow machine makes a test late, not red."""

import asyncio
import time
from collections.abc import Awaitable, Callable

DEADLINE_S = 30.0
"""What has not happened by then does not happen."""


async def until(condition: Callable[[], bool | Awaitable[bool]], what: str = "the state waited for") -> None:
    """Look again and again until `condition`, a function or a coroutine function, says true."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() < deadline, f"{what} did not come within {DEADLINE_S:.0f} s"
        await asyncio.sleep(0.01)
