"""Letters between the server processes over Redis pub/sub: one channel per process, named by it.

For what a client posts to one process while another holds its stream. Redis says how many listen, so a process that is
gone is noticed at once; a letter lost on the way costs its client a timeout and a retry under the same key.
Payload: msgpack of `[session, data]`.
"""

import asyncio
import contextlib
from collections.abc import Callable

import msgspec
import structlog
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from protocols.errors import TemporarilyUnavailable
from storage.engines.redis import OUTAGE, open_redis
from storage.engines.tasks import end_tasks

LETTERS_AT_ONCE_MAX = 1_000
"""Letters of one process that may be on their way; more are refused until some have arrived."""

RECONNECT_S = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Waits between attempts to reach Redis again; the last one repeats."""

PING_EVERY_S = 2.0
"""A listening connection that is silent for twice this long, though asked, is taken for dead."""

_log = structlog.get_logger()
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, bytes]).decode


class RedisMailbox:
    """The mailbox of one process."""

    def __init__(self, redis_url: str, node: str) -> None:
        """Prepare; `start` begins to listen under the name `node`."""
        self._redis = open_redis(redis_url)
        self._node = node
        self._on_their_way = 0
        self._listening: asyncio.Task[None] | None = None
        self._deliver: Callable[[str, bytes], None] = lambda _session, _data: None

    async def start(self, deliver: Callable[[str, bytes], None]) -> None:
        """Call `deliver(session, data)` for each letter from now on, in order of arrival."""
        self._deliver = deliver
        heard = asyncio.Event()
        self._listening = asyncio.create_task(self._listen(heard), name="mailbox")
        with contextlib.suppress(TimeoutError):  # without Redis: it goes on trying
            await asyncio.wait_for(heard.wait(), 1.0)

    async def close(self) -> None:
        """Listen no more."""
        if self._listening is not None:
            await end_tasks([self._listening])
        await self._redis.aclose()

    async def send(self, node: str, session: str, data: bytes) -> bool:
        """Hand over to the process `node`; False when nobody listens under that name.

        Raises: TemporarilyUnavailable.
        """
        if self._on_their_way >= LETTERS_AT_ONCE_MAX:
            raise TemporarilyUnavailable("Too much is on its way to other processes")
        self._on_their_way += 1
        try:
            listeners: int = await self._redis.publish(_channel(node), _encode((session, data)))
        except (TimeoutError, RedisError, *OUTAGE) as error:
            raise TemporarilyUnavailable("Redis is out of reach") from error
        finally:
            self._on_their_way -= 1
        return listeners > 0

    async def _listen(self, heard: asyncio.Event) -> None:
        """Receive for ever; after an outage, subscribe again."""
        failures = 0
        while True:
            letters = self._redis.pubsub()
            try:
                await letters.subscribe(_channel(self._node))
                heard.set()
                failures = 0
                await self._receive(letters)
            except (TimeoutError, RedisError, *OUTAGE) as error:
                _log.warning("mailbox_lost", error=str(error))
            finally:
                with contextlib.suppress(*OUTAGE):
                    await letters.aclose()
            await asyncio.sleep(RECONNECT_S[min(failures, len(RECONNECT_S) - 1)])
            failures += 1

    async def _receive(self, letters: PubSub) -> None:
        """Return when the connection is silent though asked; raise when it is lost."""
        asked = False
        while True:
            message = await letters.get_message(timeout=PING_EVERY_S)
            if message is None:
                if asked:
                    return
                asked = True
                await letters.ping()
                continue
            asked = False
            if message["type"] == "message":
                try:
                    self._deliver(*_decode(message["data"]))
                except Exception:  # noqa: BLE001 - one letter that cannot be read must not end the others
                    _log.exception("letter_failed")


def _channel(node: str) -> str:
    return f"mnbara:node:{node}"
