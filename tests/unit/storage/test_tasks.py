"""Tasks that swallow a cancellation are ended all the same."""

import asyncio

from storage.engines import tasks as tasks_module
from storage.engines.tasks import end_tasks


async def test_a_task_that_swallows_cancellations_is_ended(monkeypatch):
    monkeypatch.setattr(tasks_module, "REPEAT_S", 0.01)
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if swallowed == 2:
                    raise
                swallowed += 1

    async def failing() -> None:
        raise RuntimeError

    ended = [asyncio.create_task(work()) for work in (stubborn, failing)]
    await asyncio.sleep(0)
    await end_tasks(ended)
    assert swallowed == 2
    assert all(task.done() for task in ended)
    await end_tasks([])
