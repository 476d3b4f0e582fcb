"""Reactions: facts are handed to who reacts to them, each once, those of one aggregate in their order.

A turn claims queues (a reaction and an aggregate) that are due, runs their first rows, and commits the effects together
with the rows' removal. Killed at any point before the commit, nothing happened, and another worker finds the same rows;
after it, they are gone. A turn that fails is run again row by row; a row that fails alone waits and holds up its queue,
nothing else, and is moved to the failures after its last mistake.

A row that kills its process leaves no trace of itself: its transaction is gone. So who runs rows alone notes that
before, in a commit of its own, and a worker that has just started runs its first rows alone: it may be there because
the one before it was killed. A row under which worker after worker ends is given up, too.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import structlog
from msgspec.structs import replace

from handlers.contract import Outcome, Stores
from handlers.domain import FactRecord, ReactionKind, fact_name
from protocols.errors import Fault
from protocols.values import now_instant
from server.commands.pipeline import Pipeline
from server.worker.dispatcher import Dispatcher
from server.worker.retries import UNREPORTED_MAX, WorkerKillerError, describe, is_mistake, wait_after
from storage.engines.postgres import RACE, Connection, Database
from storage.platform.reactions_postgres import (
    ClaimedQueues,
    Tries,
    WaitingReaction,
    claim_queue,
    claim_queues,
    give_up_reaction,
    lease_queue,
    leave_queues,
    next_due,
    postpone_reaction,
    release_queue,
)

BATCH = 16
"""Rows of one transaction: their commit is shared, and a row that fails has as many run again."""

BATCH_S = 0.1
"""A transaction begins no further row after this long: what its handlers lock, others wait for."""

ALONE_AT_FIRST = 64
"""Rows of each reaction that a new worker runs alone: what the one before it died of is among those due longest, and
that one had at most two batches in hand."""

LANES = 2
"""Turns of one reaction side by side in a worker."""

AT_ONCE_MAX = 4
"""Turns of all reactions side by side in a worker: each holds a connection."""

_log = structlog.get_logger()


class Reactions:
    """The reactions of one worker process."""

    def __init__(
        self,
        database: Database,
        pipeline: Pipeline,
        kinds: Mapping[str, ReactionKind],
        yield_to_urgent: Callable[[], Awaitable[None]] | None = None,
        wake_others: Callable[[Collection[str]], None] = lambda _names: None,
        count_failure: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """Prepare; `dispatcher.run` works until cancelled. `kinds` are the reactions by their stored names."""
        self._database = database
        self._pipeline = pipeline
        self._kinds = kinds
        self._decoders = {name: msgspec.json.Decoder(kind.fact) for name, kind in kinds.items()}
        self._yield_to_urgent = yield_to_urgent
        self._count_failure = count_failure
        self._alone = dict.fromkeys(kinds, ALONE_AT_FIRST)
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)
        self.dispatcher = Dispatcher(database, next_due, self.turn, dict.fromkeys(kinds, LANES), wake_others)

    async def turn(self, name: str, on_crowd: Callable[[], None] = lambda: None) -> bool:
        """Run the next rows of a reaction; False when none were due. Raises Fault."""
        if self._yield_to_urgent is not None:
            await self._yield_to_urgent()
        async with self._turns:
            if self._alone[name] <= 0:
                try:
                    return await self._run(_Batch(name, BATCH, on_crowd)) > 0
                except Exception:  # noqa: BLE001 - whoever failed, the others are not harmed; alone it is named
                    _log.info("reactions_one_by_one", name=name)
            ran = 0
            while ran < BATCH and await self._run_one(name):
                ran += 1
            self._alone[name] -= ran
            if ran == BATCH:
                on_crowd()
            return ran > 0

    async def _run_one(self, name: str) -> bool:
        """Run one row, or have it wait; False when none was due. Raises Fault when the database is away."""
        async with self._database.connection() as db:
            aggregate = await lease_queue(db, name, now_instant())
        if aggregate is None:
            return False
        batch = _Batch(name, 1, aggregate=aggregate)
        try:
            await self._run(batch)
        except (*RACE, asyncio.CancelledError) as error:
            with contextlib.suppress(Fault):
                async with self._database.connection() as db:
                    await release_queue(db, name, aggregate)
            if isinstance(error, asyncio.CancelledError):
                raise
        except Exception as error:
            if not batch.claimed.rows:
                raise
            await self._put_off(name, batch.claimed, error)
        return True

    async def _run(self, batch: "_Batch") -> int:
        """Run the rows of a batch in one transaction; return how many queues were due."""

        async def decide(stores: Stores, now_ms: int) -> Sequence[Outcome]:
            if batch.aggregate is None:
                batch.claimed = await claim_queues(stores.db, batch.name, now_ms, batch.limit)
            else:
                batch.claimed = await claim_queue(stores.db, batch.name, batch.aggregate, now_ms)
            if len(batch.claimed.tries) == batch.limit:
                batch.on_crowd()
            outcomes: list[Outcome] = []
            until = time.monotonic() + BATCH_S
            for row in batch.claimed.rows:
                if outcomes and time.monotonic() > until:
                    break
                _check_survived(batch.claimed.tries[row.aggregate])
                outcomes.append(await self._react(batch.name, row, stores, now_ms))
            batch.claimed = replace(batch.claimed, rows=batch.claimed.rows[: len(outcomes)])
            return outcomes

        async def finish(db: Connection, now_ms: int) -> None:
            if batch.claimed.tries:
                await leave_queues(db, batch.claimed, now_ms)

        await self._pipeline.commit(decide, finish)
        return len(batch.claimed.tries)

    async def _react(self, name: str, row: WaitingReaction, stores: Stores, now_ms: int) -> Outcome:
        kind = self._kinds[name]
        if row.fact != fact_name(kind.fact):
            raise TypeError(f"{name} reacts to {fact_name(kind.fact)}, this is {row.fact}")
        fact = self._decoders[name].decode(row.data)
        record = FactRecord(aggregate=row.aggregate, number=row.number, at_ms=row.at_ms, fact=fact)
        return await kind.handler(record, stores, now_ms)

    async def _put_off(self, name: str, claimed: ClaimedQueues, error: Exception) -> None:
        """Have a row that failed alone wait, or give it up. Raises Fault when the database itself is away."""
        (row,) = claimed.rows
        tries, now_ms = claimed.tries[row.aggregate], now_instant()
        attempts, mistake = tries.attempts, is_mistake(error)
        wait_ms = wait_after(attempts + 1, tries.mistakes + mistake, error)
        _log.warning(
            "reaction_failed",
            name=name,
            aggregate=row.aggregate,
            number=row.number,
            attempts=attempts + 1,
            given_up=wait_ms is None,
            exc_info=None if isinstance(error, Fault) else error,
        )
        async with self._database.transaction() as db:
            until_ms = now_ms + (wait_ms or 0)
            is_ours = await postpone_reaction(db, name, row, attempts, until_ms, is_mistake=mistake)
            if is_ours and wait_ms is None:
                await give_up_reaction(db, name, row, attempts + 1, describe(error), now_ms)
        self._count_failure(name)


def _check_survived(tries: Tries) -> None:
    """Raises WorkerKillerError for a row under which too many workers ended."""
    if tries.unreported > UNREPORTED_MAX:
        raise WorkerKillerError(f"{tries.unreported - 1} workers ended while they ran this")


@dataclass(slots=True)
class _Batch:
    """What a turn takes, and what it has got."""

    name: str
    limit: int
    on_crowd: Callable[[], None] = lambda: None
    aggregate: str | None = None
    """The one queue to take, None for those that are due."""
    claimed: ClaimedQueues = field(default_factory=lambda: ClaimedQueues("", {}, []))
