"""How many follow something, over all processes, in Redis; the work is `crowds_redis.lua`.

Three keys a crowd, of one hash slot. A process that does not tell again is forgotten with all its followers.
"""

import secrets
from collections.abc import Mapping
from pathlib import Path

from protocols.errors import TemporarilyUnavailable
from storage.engines.redis import OUTAGE, Redis

_SCRIPT = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")

LIFETIME_S = 60.0
"""What a process told is forgotten if it is not told again for this long."""


class RedisViewerCounts:
    """`realtime.ports.ViewerCountStore`, as one process uses it. Raises TemporarilyUnavailable while Redis is away."""

    def __init__(self, redis: Redis, lifetime_s: float = LIFETIME_S) -> None:
        """Use a client; the script is loaded at first use."""
        self._redis = redis
        self._script = redis.register_script(_SCRIPT)
        self._lifetime_ms = int(lifetime_s * 1000)
        self._process = secrets.token_hex(8)

    async def tell(self, sizes: Mapping[str, int]) -> None:
        """Say how many of each crowd this process has. Cost: one round trip; each crowd a few steps of O(log n)."""
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for crowd, size in sizes.items():
                    words: list[str | int] = [self._process, size, self._lifetime_ms]
                    await self._script(keys=_keys(crowd), args=words, client=pipeline)
                await pipeline.execute()
        except OUTAGE as error:
            raise TemporarilyUnavailable("ViewerCounts are out of reach") from error

    async def count(self, crowd: str) -> int:
        """Return how many all processes have of a crowd. Cost: one round trip, O(1)."""
        return await count_viewers(self._redis, crowd)


async def count_viewers(redis: Redis, crowd: str) -> int:
    """Return how many a crowd has. Raises TemporarilyUnavailable. Cost: one round trip, O(1)."""
    try:
        return int(await redis.get(_keys(crowd)[2]) or 0)
    except OUTAGE as error:
        raise TemporarilyUnavailable("ViewerCounts are out of reach") from error


def _keys(crowd: str) -> list[str]:
    return [f"crowd:{{{crowd}}}:{part}" for part in ("sizes", "until", "total")]
