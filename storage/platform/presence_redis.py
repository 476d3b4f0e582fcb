"""Who is in which channel, in Redis, shared by all processes; the work is `presence_redis.lua`.

Three keys a channel, of one hash slot: what others see of each client, when each is forgotten, how many clients each
user has there.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from protocols.errors import TemporarilyUnavailable
from storage.engines.redis import OUTAGE, Redis

_SCRIPT = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")

LIFETIME_S = 60.0
"""An entry that is not entered again for this long is forgotten: its process died."""

Change = tuple[str, str, str, bytes | None]
"""Channel, client, user, and what others see of the client; None when it went."""


class RedisPresence:
    """`realtime.ports.Presence`. Every method raises TemporarilyUnavailable while Redis is away."""

    def __init__(self, redis: Redis, lifetime_s: float = LIFETIME_S) -> None:
        """Use a client; the script is loaded at first use."""
        self._redis = redis
        self._script = redis.register_script(_SCRIPT)
        self._lifetime_ms = int(lifetime_s * 1000)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Enter, repeat and remove entries, in order. Cost: one round trip; each change a few steps of O(log n)."""
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for channel, client, user, info in changes:
                    words: list[str | bytes | int] = ["leave", client]
                    if info is not None:
                        words = ["enter", client, user, info, self._lifetime_ms]
                    await self._script(keys=_keys(channel), args=words, client=pipeline)
                await pipeline.execute()
        except OUTAGE as error:
            raise TemporarilyUnavailable("Presence is out of reach") from error

    async def members(self, channel: str, limit: int) -> Mapping[str, bytes] | None:
        """Return what others see of each client there, or None when more than `limit` are. Cost: one round trip."""
        flat = await self._ask(channel, "members", limit)
        if flat is None:
            return None
        return {client.decode(): info for client, info in zip(flat[::2], flat[1::2], strict=True)}

    async def count(self, channel: str) -> tuple[int, int]:
        """Return how many clients and different users are there. Cost: one round trip, O(1)."""
        clients, users = await self._ask(channel, "count") or (0, 0)
        return int(clients), int(users)

    async def _ask(self, channel: str, *words: str | int) -> list[bytes] | None:
        try:
            answer: list[bytes] | None = await self._script(keys=_keys(channel), args=words)
        except OUTAGE as error:
            raise TemporarilyUnavailable("Presence is out of reach") from error
        return answer


def _keys(channel: str) -> list[str]:
    return [f"presence:{{{channel}}}:{part}" for part in ("info", "until", "users")]
