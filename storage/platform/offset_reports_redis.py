"""How far the clients of each channel have got, in Redis, shared by all processes; the work is `reports_redis.lua`.

Three keys a channel, of one hash slot. An entry that is not repeated is forgotten: its process died.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from protocols.errors import TemporarilyUnavailable
from storage.engines.redis import OUTAGE, Redis

_SCRIPT = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, int]).decode

LIFETIME_S = 60.0
"""An entry that is not repeated for this long is forgotten."""

Change = tuple[str, str, str, int, int]
"""Channel, client, user, the offset it has processed, and when it said so (ms); offset -1 when the client went."""


@dataclass(frozen=True, slots=True)
class Behind:
    """A client that has not processed everything."""

    client: str
    user: str
    offset: int
    reported_at_ms: int


@dataclass(frozen=True, slots=True)
class Readers:
    """The clients of a channel that report: how many, how many of them are behind, and those most behind first."""

    count: int
    behind_count: int
    behind: list[Behind]


class RedisOffsetReports:
    """`realtime.ports.OffsetReportStore`. Every method raises TemporarilyUnavailable while Redis is away."""

    def __init__(self, redis: Redis, lifetime_s: float = LIFETIME_S) -> None:
        """Use a client; the script is loaded at first use."""
        self._redis = redis
        self._script = redis.register_script(_SCRIPT)
        self._lifetime_ms = int(lifetime_s * 1000)

    async def apply(self, changes: Sequence[Change]) -> None:
        """Enter, repeat and remove entries, in order. Cost: one round trip; each change a few steps of O(log n)."""
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for channel, client, user, offset, at_ms in changes:
                    words: list[str | bytes | int] = ["leave", client]
                    if offset >= 0:
                        words = ["report", client, _encode((user, at_ms)), offset, self._lifetime_ms]
                    await self._script(keys=_keys(channel), args=words, client=pipeline)
                await pipeline.execute()
        except OUTAGE as error:
            raise TemporarilyUnavailable("Offset reports are out of reach") from error

    async def behind(
        self, channel: str, top: int, limit: int, after: tuple[int, str] | None = None
    ) -> Readers:
        """Return who has not processed the offset `top`, at most `limit`, by offset and client.

        Only those after the given one, which need not be there any more. Cost: one round trip.
        """
        words: list[str | int] = ["behind", top, limit, *(after or ())]
        try:
            count, behind_count, *flat = await self._script(keys=_keys(channel), args=words)
        except OUTAGE as error:
            raise TemporarilyUnavailable("Offset reports are out of reach") from error
        behind = [
            Behind(client.decode(), user, int(offset), at_ms)
            for client, offset, (user, at_ms) in zip(
                flat[::3], flat[1::3], map(_decode, flat[2::3]), strict=True
            )
        ]
        return Readers(int(count), int(behind_count), behind)


def _keys(channel: str) -> list[str]:
    return [f"reports:{{{channel}}}:{part}" for part in ("info", "offset", "until")]
