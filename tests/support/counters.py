"""A throwaway domain for tests of the machinery: counters that are added to, one by one or grouped."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated
from uuid import UUID

import asyncpg
from msgspec import Meta, Struct

from handlers.contract import Call, Caller, Event, Latest, Outcome, Permission, Route, Stores, Timer
from protocols.control import DisconnectUser
from protocols.errors import NotFound, Refusal
from protocols.values import Key

TABLE = "CREATE TABLE IF NOT EXISTS counters (counter_id uuid PRIMARY KEY, value bigint NOT NULL DEFAULT 0)"


class AddUp(Struct, forbid_unknown_fields=True):
    """Add to a counter."""

    counter_id: UUID
    amount: Annotated[int, Meta(ge=-1000, le=1_000_000)]
    key: Key = ""


class Sum(Struct):
    """The value after the addition."""

    value: int


async def create_counters(pool: asyncpg.Pool, *counter_ids: UUID) -> None:
    """Make the table and some counters at zero."""
    await pool.execute(TABLE)
    await pool.executemany(
        "INSERT INTO counters VALUES ($1) ON CONFLICT DO NOTHING", [(i,) for i in counter_ids]
    )


async def add_up(command: AddUp, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Add to one counter; a negative amount writes first and refuses then (what it wrote must vanish)."""
    value = await stores.db.fetchval(
        "UPDATE counters SET value = value + $2 WHERE counter_id = $1 RETURNING value",
        command.counter_id,
        command.amount,
    )
    if value is None or command.amount < 0:
        raise NotFound
    if command.amount == 999_999:
        await stores.db.execute("SELECT 1/0")
    return Outcome(
        Sum(value),
        events=[Event(f"auctions:{command.counter_id}", "added", {"value": value})],
        latest=[Latest(f"ticker:{command.counter_id}", value, {"value": value})],
        timers=[Timer("ring", command.counter_id, now_ms + 50)] if command.amount == 777 else [],
        controls=[DisconnectUser(str(caller.id), 3503, "enough")] if command.amount == 888 else [],
    )


async def add_up_together(
    calls: Sequence[Call[AddUp]], stores: Stores, now_ms: int
) -> list[Outcome | Refusal]:
    """Add to many counters with one statement per call; unknown counters are refused alone."""
    results: list[Outcome | Refusal] = []
    for call in calls:
        try:
            results.append(await add_up(call.command, call.caller, stores, now_ms))
        except NotFound as refusal:
            results.append(refusal)
    return results


async def take_once(command: AddUp, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Lock a counter and raise it from zero; refuse when somebody has."""
    value = await stores.db.fetchval(
        "SELECT value FROM counters WHERE counter_id = $1 FOR UPDATE", command.counter_id
    )
    if value != 0:
        raise NotFound
    await asyncio.sleep(0.005)
    return await add_up(command, caller, stores, now_ms)


async def take_once_together(
    calls: Sequence[Call[AddUp]], stores: Stores, now_ms: int
) -> list[Outcome | Refusal]:
    """Take many, one after the other; each refusal is its own."""
    results: list[Outcome | Refusal] = []
    for call in calls:
        try:
            results.append(await take_once(call.command, call.caller, stores, now_ms))
        except NotFound as refusal:
            results.append(refusal)
    return results


class ReadSum(Struct, forbid_unknown_fields=True):
    """Ask for a counter."""

    counter_id: UUID


async def read_sum(command: ReadSum, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Return a counter's value."""
    value = await stores.db.fetchval("SELECT value FROM counters WHERE counter_id = $1", command.counter_id)
    if value is None:
        raise NotFound
    return Outcome(Sum(value))


ADD_UP = Route(
    domain="counters",
    command=AddUp,
    reply=Sum,
    function=add_up,
    method="POST",
    path="/v1/counters/{counter_id}/add",
    permission=Permission.SIGNED_IN,
    key="required",
    refusals=(NotFound,),
)
ADD_UP_TOGETHER = Route(
    domain="counters",
    command=AddUp,
    reply=Sum,
    function=add_up_together,
    method="POST",
    path="/v1/counters/{counter_id}/add-together",
    permission=Permission.SIGNED_IN,
    key="required",
    grouped=True,
    refusals=(NotFound,),
)
TAKE_ONCE = replace(ADD_UP, function=take_once, path="/v1/counters/{counter_id}/take")
TAKE_ONCE_TOGETHER = replace(
    ADD_UP_TOGETHER, function=take_once_together, path="/v1/counters/{counter_id}/take-together"
)
READ_SUM = Route(
    domain="counters",
    command=ReadSum,
    reply=Sum,
    function=read_sum,
    method="GET",
    path="/v1/counters/{counter_id}",
    permission=Permission.ANYONE,
    refusals=(NotFound,),
)
ROUTES = (ADD_UP, ADD_UP_TOGETHER, TAKE_ONCE, TAKE_ONCE_TOGETHER, READ_SUM)
