"""Loops: what domains do all the time, each in one worker at a time.

A turn is one transaction that holds the loop's lock, so two workers never have a turn at once, and the turn of one that
is killed is rolled back and free. Any worker has the next.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from handlers.contract import Outcome, Stores
from handlers.domain import Figure, LoopKind, LoopTurn
from protocols.errors import Fault
from server.commands.pipeline import Pipeline
from storage.engines.postgres import RACE
from storage.platform.loops_postgres import take_turn

FAULT_WAIT_S = 0.2
"""Wait after a turn that failed because a machine is away, or that lost a race."""

ERROR_WAIT_S = 1.0
"""Wait after a turn that failed by a mistake of ours, or that found something it cannot go on with."""

_log = structlog.get_logger()


class Loops:
    """The loops of one worker process."""

    def __init__(
        self,
        pipeline: Pipeline,
        kinds: Mapping[str, LoopKind],
        show: Callable[[Figure], None] = lambda _figure: None,
        yield_to_urgent: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Prepare; `run` works until cancelled. `kinds` by `<domain>.<loop>`; `show` gets the figures of turns."""
        self._pipeline = pipeline
        self._kinds = kinds
        self._show = show
        self._yield_to_urgent = yield_to_urgent

    async def run(self) -> None:
        """Run all loops until cancelled; what fails is tried again."""
        async with asyncio.TaskGroup() as tasks:
            for name in self._kinds:
                tasks.create_task(self._run(name), name=f"loop-{name}")
            await asyncio.Event().wait()  # a process without loops has none to end with

    async def _run(self, name: str) -> None:
        while True:
            try:
                if self._yield_to_urgent is not None:
                    await self._yield_to_urgent()
                again = await self.turn(name)
                await asyncio.sleep(0 if again else self._kinds[name].pause_s)
            except Fault as fault:
                _log.warning("loop_waits", name=name, reason=fault.detail)
                await asyncio.sleep(FAULT_WAIT_S)
            except RACE:
                await asyncio.sleep(FAULT_WAIT_S)
            except Exception:  # noqa: BLE001 - a loop outlives any bug; it is logged and tried again
                _log.exception("loop_failed", name=name)
                await asyncio.sleep(ERROR_WAIT_S)

    async def turn(self, name: str) -> bool:
        """Do one turn, unless another worker is at it; return whether there is more.

        Raises Fault, and what the step raises.
        """
        turns: list[LoopTurn] = []

        async def step(stores: Stores, now_ms: int) -> Sequence[Outcome]:
            if not await take_turn(stores.db, name):
                return ()
            turns.append(await self._kinds[name].step(stores, now_ms))
            return turns[0].outcomes

        await self._pipeline.commit(step)
        for turn in turns:
            for figure in turn.figures:
                self._show(figure)
            return turn.again
        return False
