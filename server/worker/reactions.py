"""Reactions: facts are handed to who reacts to them, each once, those of one aggregate in their order.

A turn claims queues (a reaction and an aggregate) that are due, runs their first rows, and commits the effects together
with the rows' removal. Killed at any point before the commit, nothing happened, and another worker finds the same rows;
after it, they are gone. A turn that fails is run again row by row; a row that fails alone waits and holds up its queue,
nothing else, and is moved to the failures after its last attempt.
"""

import asyncio
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
from server.worker.retries import describe, wait_after
from storage.engines.postgres import RACE, Connection, Database
from storage.platform.reactions_postgres import (
    ClaimedQueues,
    WaitingReaction,
    claim_queues,
    give_up_reaction,
    leave_queues,
    next_due,
    postpone_reaction,
)

BATCH = 16
"""Rows of one transaction: their commit is shared, and a row that fails has as many run again."""

BATCH_S = 0.1
"""A transaction begins no further row after this long: what its handlers lock, others wait for."""

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
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)
        self.dispatcher = Dispatcher(database, next_due, self.turn, dict.fromkeys(kinds, LANES), wake_others)

    async def turn(self, name: str, on_crowd: Callable[[], None] = lambda: None) -> bool:
        """Run the next rows of a reaction; False when none were due. Raises Fault."""
        if self._yield_to_urgent is not None:
            await self._yield_to_urgent()
        async with self._turns:
            try:
                return await self._run(_Batch(name, BATCH, on_crowd)) > 0
            except Exception:  # noqa: BLE001 - whoever failed, the others are not harmed; alone it is named
                _log.info("reactions_one_by_one", name=name)
            ran = 0
            while ran < BATCH and await self._run_one(name):
                ran += 1
            return ran > 0

    async def _run_one(self, name: str) -> bool:
        """Run one row, or have it wait; False when none was due. Raises Fault when the database is away."""
        batch = _Batch(name, 1)
        try:
            return await self._run(batch) > 0
        except RACE:
            return True
        except Exception as error:
            if not batch.claimed.rows:
                raise
            await self._put_off(name, batch.claimed, error)
            return True

    async def _run(self, batch: "_Batch") -> int:
        """Run the rows of a batch in one transaction; return how many queues were due."""

        async def decide(stores: Stores, now_ms: int) -> Sequence[Outcome]:
            batch.claimed = await claim_queues(stores.db, batch.name, now_ms, batch.limit)
            if len(batch.claimed.attempts) == batch.limit:
                batch.on_crowd()
            outcomes: list[Outcome] = []
            until = time.monotonic() + BATCH_S
            for row in batch.claimed.rows:
                if outcomes and time.monotonic() > until:
                    break
                outcomes.append(await self._react(batch.name, row, stores, now_ms))
            batch.claimed = replace(batch.claimed, rows=batch.claimed.rows[: len(outcomes)])
            return outcomes

        async def finish(db: Connection, now_ms: int) -> None:
            if batch.claimed.attempts:
                await leave_queues(db, batch.claimed, now_ms)

        await self._pipeline.commit(decide, finish)
        return len(batch.claimed.attempts)

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
        attempts, now_ms = claimed.attempts[row.aggregate], now_instant()
        wait_ms = wait_after(attempts + 1, error)
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
            if await postpone_reaction(db, name, row, attempts, until_ms) and wait_ms is None:
                await give_up_reaction(db, name, row, attempts + 1, describe(error), now_ms)
        self._count_failure(name)


@dataclass(slots=True)
class _Batch:
    """What a turn takes, and what it has got."""

    name: str
    limit: int
    on_crowd: Callable[[], None] = lambda: None
    claimed: ClaimedQueues = field(default_factory=lambda: ClaimedQueues("", {}, []))
