"""Viewer counts over all processes, in Redis; `viewer_counts_redis.lua` does the work.

A viewer group has three keys of one hash slot. Counts that a process does not repeat within `LIFETIME_S` expire.
"""

import secrets
from collections.abc import Mapping
from pathlib import Path

from protocols.errors import TemporarilyUnavailable
from storage.engines.redis import OUTAGE, Redis

_SCRIPT = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")

LIFETIME_S = 60.0
"""A count expires when its process does not set it again within this time."""


class RedisViewerCounts:
    """`realtime.ports.ViewerCountStore`, as one process uses it. Raises TemporarilyUnavailable while Redis is away."""

    def __init__(self, redis: Redis, lifetime_s: float = LIFETIME_S) -> None:
        """Use a client; the script is loaded at first use."""
        self._redis = redis
        self._script = redis.register_script(_SCRIPT)
        self._lifetime_ms = int(lifetime_s * 1000)
        self._process = secrets.token_hex(8)

    async def set_counts(self, counts: Mapping[str, int]) -> None:
        """Set how many viewers of each group this process has. Cost: one round trip; O(log processes) per group."""
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for group, count in counts.items():
                    words: list[str | int] = [self._process, count, self._lifetime_ms]
                    await self._script(keys=_keys(group), args=words, client=pipeline)
                await pipeline.execute()
        except OUTAGE as error:
            raise TemporarilyUnavailable("Viewer counts are out of reach") from error

    async def count(self, group: str) -> int:
        """Return how many viewers of a group all processes have. Cost: one round trip, O(1)."""
        return await count_viewers(self._redis, group)


async def count_viewers(redis: Redis, group: str) -> int:
    """Return the viewers of a group. Raises TemporarilyUnavailable. Cost: one round trip, O(1)."""
    try:
        return int(await redis.get(_keys(group)[2]) or 0)
    except OUTAGE as error:
        raise TemporarilyUnavailable("Viewer counts are out of reach") from error


def _keys(group: str) -> list[str]:
    return [f"viewers:{{{group}}}:{part}" for part in ("sizes", "until", "total")]
