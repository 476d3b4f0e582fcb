"""Publications between the server processes over Redis pub/sub: one message per channel and commit.

Best effort by nature: what is lost here (a process or Redis that dies between commit and publish) is repaired from the
events table by number. Our own publications are delivered at once and skipped when Redis echoes them.
Payload: 8 bytes naming the process, then msgpack of `[[number, data, at_ms, key], …]`, a row of an entry with tags or
a publishing client being longer by these two.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Sequence

import msgspec
import structlog
from hiredis import pack_command
from redis.asyncio.connection import ConnectionPool
from redis.exceptions import ResponseError

from protocols.topics import Entry
from storage.engines.redis import COMMAND_TIMEOUT_S, CONNECT_TIMEOUT_S, OUTAGE
from storage.engines.tasks import end_tasks

SUBSCRIBE_TIMEOUT_S = 1.0
"""How long a subscriber waits for Redis; after that the channel works through gap repair until Redis is back."""

LISTEN_TIMEOUT_S = 2.0
"""How long connecting and subscribing to everything may take."""

OUTBOX_MAX = 20_000
"""Publications kept while Redis is slow; older ones are dropped, their readers repair the gap from the database."""

RECONNECT_S = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Waits between attempts to reach Redis again; the last one repeats."""

PING_EVERY_S = 0.25

SILENT_S = 0.75
"""After so long without an answer to a PING the log stands in for the bus: no socket tells that Redis stands still."""

DEAD_S = 4.0
"""A listening connection that is silent for so long is given up for a new one."""

_log = structlog.get_logger()
_encode = msgspec.msgpack.Encoder().encode


class _Row(msgspec.Struct, array_like=True, gc=False):
    number: int
    data: bytes
    at_ms: int
    key: str
    tags: dict[str, str] | None = None
    info: bytes = b""


_decode = msgspec.msgpack.Decoder(list[_Row]).decode


def _row(entry: Entry) -> tuple[object, ...]:
    if entry.tags or entry.info:
        return entry.number, entry.data, entry.at_ms, entry.key, entry.tags, entry.info
    return entry.number, entry.data, entry.at_ms, entry.key


def _entries(rows: bytes) -> list[Entry]:
    return [Entry(r.number, r.data, r.at_ms, r.key, r.tags, r.info) for r in _decode(rows)]


class RedisBus:
    """The bus of one process: one connection that listens, one that publishes, a watch that ends a dead one."""

    def __init__(self, redis_url: str) -> None:
        """Prepare; `start` connects."""
        self._pool = ConnectionPool.from_url(
            redis_url, protocol=2, socket_timeout=None, socket_connect_timeout=CONNECT_TIMEOUT_S
        )
        self._listening = self._pool.make_connection()
        self._publishing = self._pool.make_connection()
        self._origin = os.urandom(8)
        self._confirmations: dict[str, asyncio.Future[None]] = {}
        self._changes: dict[str, str] = {}
        self._outbox: list[bytes] = []
        self._wake_sender = asyncio.Event()
        self._wake_subscriber = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._deliver: Callable[[str, Sequence[Entry]], None] = lambda _channel, _entries: None
        self._on_reconnected: Callable[[], None] = lambda: None
        self._heard_at = 0.0
        self.connected = False
        self.dropped = 0
        """Publications that left no further than this process because Redis was away."""

    def is_silent(self) -> bool:
        """Whether nothing was heard for longer than answers take: publications of others may not arrive."""
        return not self.connected or time.monotonic() - self._heard_at > SILENT_S

    async def start(
        self, deliver: Callable[[str, Sequence[Entry]], None], on_reconnected: Callable[[], None]
    ) -> None:
        """Begin delivering; `on_reconnected` runs after an outage, when anything may have been missed."""
        self._deliver = deliver
        self._on_reconnected = on_reconnected
        with contextlib.suppress(*OUTAGE):
            await self._listen()
        for work in (self._receive, self._send, self._subscribe_changes, self._watch):
            self._tasks.append(asyncio.create_task(work(), name=f"bus-{work.__name__}"))

    async def close(self) -> None:
        """Stop delivering and leave."""
        await end_tasks(self._tasks)
        for connection in (self._listening, self._publishing):
            with contextlib.suppress(*OUTAGE):
                await connection.disconnect()

    async def subscribe(self, channels: Sequence[str]) -> None:
        """Return once publications reach this process, or at once while Redis is away (gap repair covers it)."""
        loop, unconfirmed = asyncio.get_running_loop(), []
        for channel in channels:
            confirmed = self._confirmations.get(channel)
            if confirmed is None:
                confirmed = self._confirmations[channel] = loop.create_future()
                self._change(channel, "SUBSCRIBE")
            if not confirmed.done():
                unconfirmed.append(confirmed)
        if unconfirmed and not self.is_silent():
            await asyncio.wait(unconfirmed, timeout=SUBSCRIBE_TIMEOUT_S)

    def unsubscribe(self, channel: str) -> None:
        """Stop receiving the channel."""
        if self._confirmations.pop(channel, None) is not None:
            self._change(channel, "UNSUBSCRIBE")

    def publish(self, publications: Sequence[tuple[str, Sequence[Entry]]]) -> None:
        """Deliver here at once, and hand to Redis for the other processes."""
        for channel, entries in publications:
            self._deliver(channel, entries)
            rows = [_row(entry) for entry in entries]
            command = ("PUBLISH", channel, self._origin + _encode(rows))
            self._outbox.append(pack_command(command))  # type: ignore[arg-type]  # its stub wants one item
        if len(self._outbox) > OUTBOX_MAX:
            self.dropped += len(self._outbox) - OUTBOX_MAX
            del self._outbox[:-OUTBOX_MAX]
        self._wake_sender.set()

    # -- sending ------------------------------------------------------------------------------------------------

    async def _send(self) -> None:
        """Send what a tick collected with one write. Redis is told not to answer: nobody waits for the count."""
        while True:
            await self._wake_sender.wait()
            self._wake_sender.clear()
            batch, self._outbox = self._outbox, []
            try:
                async with asyncio.timeout(COMMAND_TIMEOUT_S):
                    if not self._publishing.is_connected:
                        await self._publishing.connect()
                        await self._publishing.send_command("CLIENT", "REPLY", "OFF")
                    await self._publishing.send_packed_command(b"".join(batch), check_health=False)
            except (TimeoutError, *OUTAGE) as error:
                self.dropped += len(batch)
                _log.warning("bus_send_failed", publications=len(batch), error=str(error))
                with contextlib.suppress(*OUTAGE):
                    await self._publishing.disconnect()

    # -- subscribing --------------------------------------------------------------------------------------------

    def _change(self, channel: str, command: str) -> None:
        self._changes[channel] = command
        self._wake_subscriber.set()

    async def _subscribe_changes(self) -> None:
        """Send what a tick collected as one SUBSCRIBE and one UNSUBSCRIBE."""
        while True:
            await self._wake_subscriber.wait()
            self._wake_subscriber.clear()
            if not self.connected:
                self._changes.clear()  # the reconnection subscribes to everything that is wanted
                continue
            changes, self._changes = self._changes, {}
            with contextlib.suppress(*OUTAGE):
                for command in ("UNSUBSCRIBE", "SUBSCRIBE"):
                    if channels := [c for c, wanted in changes.items() if wanted == command]:
                        packed = pack_command((command, *channels))  # type: ignore[arg-type]  # its stub wants one item
                        await self._listening.send_packed_command(packed, check_health=False)

    async def _listen(self) -> None:
        """Open the listening connection and subscribe to everything wanted."""
        self._listening = self._pool.make_connection()
        async with asyncio.timeout(
            LISTEN_TIMEOUT_S
        ):  # the driver's greeting waits for answers without an end
            await self._listening.connect()
            # a channel nobody publishes on: PING answers differently before the first subscription
            await self._listening.send_command("SUBSCRIBE", "mnbara:bus", *self._confirmations)
        self._heard_at = time.monotonic()
        self.connected = True

    # -- receiving ----------------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        failures = 0
        while True:
            try:
                if not self.connected:
                    await self._listen()
                    failures = 0
                    self._on_reconnected()
                    _log.info("bus_reconnected", channels=len(self._confirmations))
                await self._receive_until_lost()
            except OUTAGE as error:
                if self.connected:
                    _log.warning("bus_lost", error=str(error))
                self.connected = False
                with contextlib.suppress(*OUTAGE):
                    await self._listening.disconnect()
                await asyncio.sleep(RECONNECT_S[min(failures, len(RECONNECT_S) - 1)])
                failures += 1

    async def _receive_until_lost(self) -> None:
        origin, read = self._origin, self._listening.read_response
        refused = ""
        while True:
            try:
                kind, channel, payload = (*(await read(disconnect_on_error=False)), b"")[:3]
            except ResponseError as error:  # with a full disk Redis refuses PING, and goes on publishing
                if str(error) != refused:
                    _log.warning("bus_refused", error=str(error))
                refused, kind = str(error), b""
            self._heard_at = time.monotonic()
            if kind == b"message":
                if not payload.startswith(origin):
                    self._deliver(channel.decode(), _entries(payload[8:]))
            elif kind == b"subscribe":
                confirmed = self._confirmations.get(channel.decode())
                if confirmed is not None and not confirmed.done():
                    confirmed.set_result(None)

    async def _watch(self) -> None:
        """Ask for a sign of life, and end a connection that stays silent: a host can vanish without a word."""
        while True:
            await asyncio.sleep(PING_EVERY_S)
            if not self.connected:
                continue
            with contextlib.suppress(*OUTAGE):
                if time.monotonic() - self._heard_at > DEAD_S:
                    await self._listening.disconnect()
                else:
                    async with asyncio.timeout(PING_EVERY_S):  # a full socket takes nothing more
                        await self._listening.send_command("PING")
