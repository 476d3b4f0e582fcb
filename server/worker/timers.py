"""Timers: due rows are claimed and their effect committed in one transaction, on time and never early.

Several workers may run; each row is claimed by one (SKIP LOCKED). A handler that fails for a batch is tried row by row;
a row that fails alone is postponed with growing waits, so that one poisoned timer stops nobody.

Kinds run in lanes: a slow kind holds up its own lane and no other. The lane *urgent* goes first: what its kinds need is
read into memory before they are due, a crowd of them runs on several connections at once, and meanwhile the other
lanes, and whoever else asks, yield.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import structlog

from handlers.domain import URGENT, TimerKind
from protocols.errors import Fault
from protocols.values import now_instant
from server.commands.pipeline import Pipeline, TimersFailedError
from storage.engines.postgres import Connection, Database
from storage.platform.timers_postgres import next_due

BATCH = 500
"""Timers per transaction: a thousand rows written, about 20 ms."""

URGENT_BATCH = 500
"""Timers per transaction of a urgent kind: fewer cost more round trips, and 2,000 that are due together wait for all
of them (measured with 125, 250, 500)."""

LANES = 2
"""Connections for a crowd of urgent timers: while the database works for one, another one's batch is decided here."""

AHEAD_MS = 2_500
"""How long before they are due urgent timers are prepared: longer than a sleep, so that none is missed by it."""

PREPARED_MAX = 10_000
"""Timers prepared in one look ahead; of more, the later ones are read when they are due."""

SLEEP_MAX_MS = 1_000
"""Longest sleep without looking: covers a lost notification."""

QUIET_BEFORE_MS = 30
"""How long before a urgent timer is due the others give way: about what one batch of theirs takes."""

YIELD_MAX_S = 0.5
"""How long they give way at most: urgent timers without a pause must not starve them."""

POSTPONE_S = (1, 5, 30, 300, 3600)
"""Waits after the 1st, 2nd, … failure of one timer; the last one repeats."""

_log = structlog.get_logger()


class _Lane:
    """Kinds whose timers run one after the other, and what wakes their loop."""

    def __init__(self, name: str, kinds: Sequence[TimerKind]) -> None:
        self.name = name
        self.kinds = kinds
        self.names = [kind.name for kind in kinds]
        self.wake = asyncio.Event()


class Timers:
    """The timer loops of one worker process: one per lane."""

    def __init__(
        self,
        database: Database,
        pipeline: Pipeline,
        lanes: Mapping[str, Sequence[TimerKind]],
        observe_lateness: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        """Prepare; `run` works until cancelled. `lanes` are the kinds by lane."""
        self._database = database
        self._pipeline = pipeline
        self._observe_lateness = observe_lateness
        self._urgent = _Lane(URGENT, lanes.get(URGENT, ()))
        self._others = [_Lane(name, kinds) for name, kinds in lanes.items() if name != URGENT]
        self._prepared_until_ms = 0
        self._way_is_free = asyncio.Event()

    async def run(self) -> None:
        """Run timers until cancelled; faults are retried."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(), name="timers-listen")
            tasks.create_task(self._repeat(self._look_ahead), name="timers-look-ahead")
            tasks.create_task(self._repeat(self._turn_urgent), name="timers-urgent")
            for lane in self._others:
                tasks.create_task(self._repeat(partial(self._turn, lane)), name=f"timers-{lane.name}")

    async def yield_to_urgent(self) -> None:
        """Wait while urgent timers run or are about to, `YIELD_MAX_S` at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(YIELD_MAX_S):
                await self._way_is_free.wait()

    # -- turns ------------------------------------------------------------------------------------------------------

    async def _repeat(self, turn: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await turn()
            except Fault:
                await asyncio.sleep(0.2)
            except Exception:  # noqa: BLE001 - the loop outlives any bug; it is logged and tried again
                _log.exception("timers_failed")
                await asyncio.sleep(1)

    async def _look_ahead(self) -> None:
        """Prepare the urgent timers that come into view."""
        until_ms = now_instant() + AHEAD_MS
        await self._prepare(self._prepared_until_ms, until_ms)
        self._prepared_until_ms = until_ms
        await asyncio.sleep(SLEEP_MAX_MS / 1000)

    async def _turn_urgent(self) -> None:
        """Sleep until an urgent timer is due, run all that are."""
        lane = self._urgent
        while (wait_ms := await self._wait_ms(lane)) > QUIET_BEFORE_MS:
            self._way_is_free.set()
            await _sleep(lane.wake, wait_ms - QUIET_BEFORE_MS)
        self._way_is_free.clear()
        if wait_ms > 0:
            due_at_ms = now_instant() + wait_ms
            await self._prepare(due_at_ms, due_at_ms + 1)
            await _sleep(lane.wake, due_at_ms - now_instant())
        for kind in lane.kinds:
            await self._drain(kind, URGENT_BATCH, helpers=LANES - 1)
        self._wake_all(except_for=lane)  # what these timers want done next is announced to nobody else

    async def _turn(self, lane: _Lane) -> None:
        """Sleep until a timer of another lane is due, run all that are."""
        while (wait_ms := await self._wait_ms(lane)) > 0:
            await _sleep(lane.wake, wait_ms)
        for kind in lane.kinds:
            ran = BATCH
            while ran == BATCH:
                await self.yield_to_urgent()
                ran = await self._run_batch(kind, BATCH)
        self._wake_all(except_for=lane)

    def _wake_all(self, except_for: _Lane | None = None) -> None:
        for lane in (self._urgent, *self._others):
            if lane is not except_for:
                lane.wake.set()

    async def _wait_ms(self, lane: _Lane) -> int:
        if not lane.names:
            return SLEEP_MAX_MS
        async with self._database.connection() as db:
            due_at_ms = await next_due(db, lane.names)
        return SLEEP_MAX_MS if due_at_ms is None else min(due_at_ms - now_instant(), SLEEP_MAX_MS)

    async def _prepare(self, from_ms: int, until_ms: int) -> None:
        for kind in self._urgent.kinds:
            if kind.prepare is not None:
                await self._pipeline.prepare_timers(kind.name, kind.prepare, from_ms, until_ms, PREPARED_MAX)

    # -- running ----------------------------------------------------------------------------------------------------

    async def _drain(self, kind: TimerKind, batch: int, helpers: int) -> None:
        """Run due timers of a kind until none is left; a full batch calls a helper to work beside this one."""
        helping: list[asyncio.Task[None]] = []

        def call_helper() -> None:
            if helpers and not helping:
                helping.append(asyncio.create_task(self._drain(kind, batch, helpers - 1)))

        try:
            while await self._run_batch(kind, batch, call_helper) == batch:
                pass
        except BaseException:
            for helper in helping:
                helper.cancel()
            raise
        await asyncio.gather(*helping)

    async def _run_batch(
        self, kind: TimerKind, batch: int, on_crowd: Callable[[], None] = lambda: None
    ) -> int:
        """Run up to a batch of due timers; return how many ran."""
        try:
            late_ms = await self._pipeline.run_timers(kind.name, kind.handler, batch, on_crowd)
        except TimersFailedError:
            _log.exception("timer_batch_failed", kind=kind.name)
            late_ms = await self._one_by_one(kind, batch)
        for each in late_ms:
            self._observe_lateness(each / 1000)
        return len(late_ms)

    async def _one_by_one(self, kind: TimerKind, batch: int) -> list[int]:
        late_ms: list[int] = []
        for _ in range(batch):
            try:
                ran = await self._pipeline.run_timers(kind.name, kind.handler, 1)
            except TimersFailedError as failure:
                _log.exception("timer_failed", kind=kind.name)
                for timer_id in failure.timer_ids:
                    await self._pipeline.postpone_timer(timer_id, POSTPONE_S)
                continue
            if not ran:
                break
            late_ms += ran
        return late_ms

    # -- waking -----------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Hold one connection that hears NOTIFY; without it the loops still look every second."""
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
            self._wake_all()

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


async def _sleep(wake: asyncio.Event, wait_ms: int) -> None:
    """Sleep until woken, or as long as given."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait_ms / 1000):
            await wake.wait()
    wake.clear()
