"""Which aggregates have commands that a server process received and has not committed, in Redis.

For those who must not overtake them: an auction does not close before bids that came in time. One hash a route, a field
per process: when it was written, the receipt of the process's oldest such command, the aggregates of all of them. Lost
with Redis, it is missed by nobody but a command in the last instant under load.
"""

import asyncio
from collections.abc import Collection, Iterable
from typing import cast
from uuid import UUID

from storage.engines.redis import OUTAGE, Redis

FRESH_MS = 1_000
"""What was said longer ago is not looked at: its process died. Busy processes say it every 10 ms."""

DEAD_MS = 60_000
"""What was said longer ago is deleted."""

READ_TIMEOUT_S = 0.03
"""A reader does not wait longer to hear what is queued."""

AGGREGATES_MAX = 2_000
"""Aggregates that are named (32 KB); a process with commands for more of them says that all may be meant."""

ID_BYTES, INSTANT_BYTES = 16, 8


class BacklogStore:
    """What one server process says."""

    def __init__(self, redis: Redis, process: str, route: str) -> None:
        """Speak for a process, of one route's commands."""
        self._redis = redis
        self._key = _key(route)
        self._process = process

    async def tell(self, now_ms: int, oldest_ms: int, aggregate_ids: Collection[UUID]) -> None:
        """Say which aggregates have commands that wait. Cost: one round trip; lost while Redis is away."""
        told = aggregate_ids if len(aggregate_ids) <= AGGREGATES_MAX else ()
        head = now_ms.to_bytes(INSTANT_BYTES, "big") + oldest_ms.to_bytes(INSTANT_BYTES, "big")
        await self._send("HSET", self._process, head + b"".join(one.bytes for one in told))

    async def clear(self) -> None:
        """Say that none waits. Cost: one round trip."""
        await self._send("HDEL", self._process)

    async def _send(self, command: str, *words: str | bytes) -> None:
        try:
            await self._redis.execute_command(command, self._key, *words)
        except OUTAGE:
            return


async def read_backlog(
    redis: Redis, route: str, aggregate_ids: Iterable[UUID], now_ms: int
) -> dict[UUID, int]:
    """Return the receipt of the oldest waiting command of any process that has some for these, by aggregate.

    Cost: one round trip, 30 ms at most; nothing is known while Redis is away.
    """
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            said = cast("dict[bytes, bytes]", await redis.hgetall(_key(route)))
            dead = [name for name, value in said.items() if now_ms - _instant(value, 0) > DEAD_MS]
            if dead:
                await redis.hdel(_key(route), *dead)
    except (*OUTAGE, TimeoutError):
        return {}
    wanted = {one.bytes: one for one in aggregate_ids}
    oldest: dict[UUID, int] = {}
    for value in said.values():
        oldest_ms = _instant(value, 1)
        if now_ms - _instant(value, 0) > FRESH_MS:
            continue
        ids = value[2 * INSTANT_BYTES :]
        queued = {ids[n : n + ID_BYTES] for n in range(0, len(ids), ID_BYTES)} or wanted.keys()
        for one in wanted.keys() & queued:
            oldest[wanted[one]] = min(oldest_ms, oldest.get(wanted[one], oldest_ms))
    return oldest


def _key(route: str) -> str:
    return f"backlog:{route}"


def _instant(value: bytes, place: int) -> int:
    return int.from_bytes(value[place * INSTANT_BYTES : (place + 1) * INSTANT_BYTES], "big")
