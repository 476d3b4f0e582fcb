"""A domain of tests that states facts and reacts to them: every effect is a row in `effects`."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
from msgspec import Struct
from redis.asyncio import Redis

from handlers.contract import Fact, Outcome
from handlers.domain import ReactionKind
from protocols.errors import TemporarilyUnavailable
from server.commands.outcomes import OutcomeWriter
from server.commands.pipeline import Pipeline
from server.worker.reactions import Reactions
from storage.engines.postgres import Database
from storage.engines.tasks import end_tasks

EFFECTS = """
CREATE TABLE effects (
    place bigint GENERATED ALWAYS AS IDENTITY, reaction text NOT NULL, aggregate text NOT NULL,
    number bigint NOT NULL, label text NOT NULL, PRIMARY KEY (reaction, aggregate, number)
)
"""


class ThingHappened(Struct, frozen=True, kw_only=True):
    """A fact of tests; the label says what the handler does."""

    thing_id: UUID
    label: str = ""
    wait_s: float = 0.0


async def _note(reaction, record, stores) -> Outcome:
    if record.fact.wait_s:
        await asyncio.sleep(record.fact.wait_s)
    await stores.db.execute(
        "INSERT INTO effects (reaction, aggregate, number, label) VALUES ($1, $2, $3, $4)",
        reaction,
        record.aggregate,
        record.number,
        record.fact.label,
    )
    if record.fact.label == "kills":
        os.kill(os.getpid(), signal.SIGKILL)
    if record.fact.label == "broken":
        raise ValueError("token eyJhbGciOiJFZERTQSJ9.eyJhIjoxfQ.c2lnbmF0dXJl is broken\nDETAIL: a row")
    if record.fact.label == "away":
        raise TemporarilyUnavailable("a machine is away")
    if record.fact.label == "unwritable":
        return Outcome(None, facts=[Fact("things:x", object())])  # type: ignore[arg-type]
    if record.fact.label == "again":
        return Outcome(None, facts=[Fact(record.aggregate, ThingHappened(thing_id=record.fact.thing_id))])
    return Outcome(None)


async def on_thing_happened(record, stores, now_ms) -> Outcome:
    return await _note("things", record, stores)


async def on_thing_happened_too(record, stores, now_ms) -> Outcome:
    return await _note("others", record, stores)


KINDS: Mapping[str, ReactionKind] = {
    "things.on_thing_happened": ReactionKind(
        name="on_thing_happened", fact=ThingHappened, handler=on_thing_happened
    ),
    "others.on_thing_happened": ReactionKind(
        name="on_thing_happened", fact=ThingHappened, handler=on_thing_happened_too
    ),
}


def pipeline_of(database: Database, redis: Redis, wake=lambda _names: None) -> Pipeline:
    writer = OutcomeWriter(KINDS, wake)
    return Pipeline(database, redis, "epoch", lambda _publications: None, [], writer=writer)


async def state(pipeline: Pipeline, *facts: Fact) -> None:
    """State facts in one transaction."""

    async def decide(_stores, _now_ms):
        return [Outcome(None, facts=facts)]

    await pipeline.commit(decide)


def thing(thing_id: UUID, label: str = "", wait_s: float = 0.0) -> Fact:
    return Fact(f"things:{thing_id}", ThingHappened(thing_id=thing_id, label=label, wait_s=wait_s))


@asynccontextmanager
async def running(*reactions: Reactions) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each.dispatcher.run()) for each in reactions]
    try:
        yield
    finally:
        await end_tasks(tasks)


async def until(condition, timeout_s: float = 60) -> None:
    """Wait until an asynchronous condition holds."""
    async with asyncio.timeout(timeout_s):
        while not await condition():
            await asyncio.sleep(0.01)


async def effects_of(pool: asyncpg.Pool, reaction: str, aggregate: str) -> list[int]:
    rows = await pool.fetch(
        "SELECT number FROM effects WHERE reaction = $1 AND aggregate = $2 ORDER BY place",
        reaction,
        aggregate,
    )
    return [row["number"] for row in rows]
