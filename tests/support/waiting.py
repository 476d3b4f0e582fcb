"""Wait for a state instead of a time: a slow machine makes a test late, not red."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

DEADLINE_S = 30.0
"""What has not happened by then does not happen."""


async def until(condition: Callable[[], Any], what: str = "the state waited for") -> None:
    """Look again and again until `condition`, a function or a coroutine function, says true."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        found = condition()
        if await found if inspect.isawaitable(found) else found:
            return
        assert time.monotonic() < deadline, f"{what} did not come within {DEADLINE_S:.0f} s"
        await asyncio.sleep(0.01)
