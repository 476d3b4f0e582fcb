"""Timers: due rows are claimed and their effect committed in one transaction, on time and never early.

Several workers may run; each row is claimed by one (SKIP LOCKED). A handler that fails for a batch is tried row by row;
a row that fails alone is postponed with growing waits, so that one poisoned timer stops nobody.
"""

import asyncio
from collections.abc import Callable, Mapping

import structlog

from handlers.contract import TimerHandler
from protocols.errors import Fault
from protocols.values import now_instant
from server.pipeline import Pipeline
from storage.engines.postgres import Connection, Database
from storage.timers_postgres import next_due

BATCH = 500
"""Timers per transaction: 2,000 auctions that end in the same second take four."""

SLEEP_MAX_S = 1.0
"""Longest sleep without looking: covers a lost notification."""

POSTPONE_S = (1, 5, 30, 300, 3600)
"""Waits after the 1st, 2nd, … failure of one timer; the last one repeats."""

_log = structlog.get_logger()


class Timers:
    """The timer loop of one worker process."""

    def __init__(
        self,
        database: Database,
        pipeline: Pipeline,
        handlers: Mapping[str, TimerHandler],
        observe_lateness: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        """Prepare; `run` works until cancelled."""
        self._database = database
        self._pipeline = pipeline
        self._handlers = handlers
        self._observe_lateness = observe_lateness
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look now: a timer was written."""
        self._wake.set()

    async def run(self) -> None:
        """Run timers until cancelled; faults are retried."""
        listener = asyncio.create_task(self._listen(), name="timers-listen")
        try:
            while True:
                try:
                    await self._sleep_until_due()
                    await self.run_due()
                except Fault:
                    await asyncio.sleep(0.2)
                except Exception:  # noqa: BLE001 - the loop outlives any bug; it is logged and tried again
                    _log.exception("timers_failed")
                    await asyncio.sleep(1)
        finally:
            listener.cancel()

    async def run_due(self) -> int:
        """Run everything that is due now; return how many timers ran."""
        ran = 0
        for kind, handler in self._handlers.items():
            while True:
                try:
                    late_ms = await self._pipeline.run_timers(kind, handler, BATCH)
                except Fault:
                    raise
                except Exception:  # noqa: BLE001 - the batch is tried one by one
                    _log.exception("timer_batch_failed", kind=kind)
                    late_ms = await self._one_by_one(kind, handler)
                for each in late_ms:
                    self._observe_lateness(each / 1000)
                ran += len(late_ms)
                if len(late_ms) < BATCH:
                    break
        return ran

    async def _one_by_one(self, kind: str, handler: TimerHandler) -> list[int]:
        late_ms: list[int] = []
        for _ in range(BATCH):
            try:
                ran = await self._pipeline.run_timers(kind, handler, 1)
            except Fault:
                raise
            except Exception:  # noqa: BLE001 - one poisoned timer is postponed, the others go on
                _log.exception("timer_failed", kind=kind)
                await self._pipeline.postpone_timer(kind, POSTPONE_S)
                continue
            if not ran:
                break
            late_ms += ran
        return late_ms

    async def _sleep_until_due(self) -> None:
        async with self._database.connection() as db:
            due_at_ms = await next_due(db, list(self._handlers))
        wait_s = SLEEP_MAX_S if due_at_ms is None else (due_at_ms - now_instant()) / 1000
        if wait_s > 0:
            try:
                async with asyncio.timeout(min(wait_s, SLEEP_MAX_S)):
                    await self._wake.wait()
            except TimeoutError:
                pass
        self._wake.clear()

    async def _listen(self) -> None:
        """Hold one connection that hears NOTIFY; without it the loop still looks every second."""
        while True:
            try:
                async with self._database.connection() as db:
                    await self._hear(db)
            except Fault:
                pass
            await asyncio.sleep(0.5)

    async def _hear(self, db: Connection) -> None:
        """Be woken by NOTIFY until the connection is lost."""
        lost = asyncio.Event()

        def wake(*_: object) -> None:
            self._wake.set()

        def end(*_: object) -> None:
            lost.set()

        await db.add_listener("timers", wake)
        db.add_termination_listener(end)
        try:
            await lost.wait()
        finally:
            db.remove_termination_listener(end)
            if not db.is_closed():
                await db.remove_listener("timers", wake)
