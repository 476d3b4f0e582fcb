"""Budgets of callers in Redis, shared by all processes; the arithmetic is `ratelimits_redis.lua`."""

from pathlib import Path

from protocols.errors import TemporarilyUnavailable
from storage.engines.redis import OUTAGE, Redis

_SCRIPT = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")


class RateLimitStore:
    """Takes units from budgets."""

    def __init__(self, redis: Redis) -> None:
        """Use a client; the script is loaded at first use."""
        self._script = redis.register_script(_SCRIPT)

    async def take(self, key: str, unit_us: int, tolerance_us: int, cost: int) -> tuple[bool, int, int, int]:
        """Return (allowed, remaining units, microseconds to wait, microseconds until the budget is whole).

        Raises: TemporarilyUnavailable when Redis is away. Cost: one round trip; one key that expires by itself.
        """
        try:
            allowed, remaining, retry_us, reset_us = await self._script(
                keys=[f"ratelimits:{key}"], args=[unit_us, tolerance_us, cost]
            )
        except OUTAGE as error:
            raise TemporarilyUnavailable("The rate limits are out of reach") from error
        return bool(allowed), remaining, retry_us, reset_us
