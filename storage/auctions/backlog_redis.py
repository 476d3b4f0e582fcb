"""Which auctions have bids that a server process received and has not committed, in Redis, for those who close them.

One hash, a field per process: when it was said, the receipt of the process's oldest such bid, the auctions of all of
them. Lost with Redis, it is missed by nobody but a bid in the last instant of an auction under load.
"""

import asyncio
from collections.abc import Collection, Iterable
from typing import cast
from uuid import UUID

from storage.engines.redis import OUTAGE, Redis

KEY = "auctions:backlog"

FRESH_MS = 1_000
"""What was said longer ago is not looked at: its process died. Busy processes say it every 10 ms."""

DEAD_MS = 60_000
"""What was said longer ago is deleted."""

READ_TIMEOUT_S = 0.03
"""A closing does not wait longer to hear what is queued."""

AUCTIONS_MAX = 2_000
"""Auctions that are named one by one (32 KB); a process with bids on more of them says that all may be meant."""

ID_BYTES, INSTANT_BYTES = 16, 8


class BacklogStore:
    """What one server process says."""

    def __init__(self, redis: Redis, process: str) -> None:
        """Speak for a process."""
        self._redis = redis
        self._process = process

    async def tell(self, now_ms: int, oldest_ms: int, auction_ids: Collection[UUID]) -> None:
        """Say which auctions have bids that wait. Cost: one round trip; while Redis is away it is said to nobody."""
        named = auction_ids if len(auction_ids) <= AUCTIONS_MAX else ()
        head = now_ms.to_bytes(INSTANT_BYTES, "big") + oldest_ms.to_bytes(INSTANT_BYTES, "big")
        await self._send("HSET", self._process, head + b"".join(one.bytes for one in named))

    async def clear(self) -> None:
        """Say that none waits. Cost: one round trip."""
        await self._send("HDEL", self._process)

    async def _send(self, command: str, *words: str | bytes) -> None:
        try:
            await self._redis.execute_command(command, KEY, *words)
        except OUTAGE:
            return


async def read_backlog(redis: Redis, auction_ids: Iterable[UUID], now_ms: int) -> dict[UUID, int]:
    """Return the receipt of the oldest waiting bid of any process that has bids on these auctions, by auction.

    Cost: one round trip, 30 ms at most; nothing is known while Redis is away.
    """
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            said = cast("dict[bytes, bytes]", await redis.hgetall(KEY))
            dead = [name for name, value in said.items() if now_ms - _instant(value, 0) > DEAD_MS]
            if dead:
                await redis.hdel(KEY, *dead)
    except (*OUTAGE, TimeoutError):
        return {}
    wanted = {auction_id.bytes: auction_id for auction_id in auction_ids}
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


def _instant(value: bytes, index: int) -> int:
    return int.from_bytes(value[index * INSTANT_BYTES : (index + 1) * INSTANT_BYTES], "big")
