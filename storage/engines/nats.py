"""NATS: one connection per process, made in the background and again after an outage."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog
from nats.aio.client import Client
from nats.errors import (
    ConnectionClosedError,
    ConnectionDrainingError,
    ConnectionReconnectingError,
    NoRespondersError,
    NoServersError,
    StaleConnectionError,
)
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.errors import APIError, NoStreamResponseError

from protocols.errors import TemporarilyUnavailable
from storage.engines.tasks import end_tasks

__all__ = ["Client", "NatsError", "NatsLink", "in_words", "open_nats"]

_AWAY = (
    OSError,
    TimeoutError,
    NatsTimeoutError,
    NoServersError,
    NoRespondersError,
    StaleConnectionError,
    ConnectionClosedError,
    ConnectionDrainingError,
    ConnectionReconnectingError,
)
"""What the driver raises when the server does not answer; everything else is an answer."""

PING_S = 1.0
"""How long an answer to a ping may take."""

_PONG_LATEST_S = 60
"""After this the driver has given up the connection by its own pings, and a late answer is impossible."""

_log = structlog.get_logger()


async def open_nats(nats_url: str, name: str) -> Client:
    """Return a connected client that reconnects for ever; waits until the server is there."""

    async def report(error: Exception) -> None:
        _log.warning("nats_error", error=f"{type(error).__name__}: {error}")

    while True:
        client = Client()
        with contextlib.suppress(NatsError, OSError, TimeoutError):
            await client.connect(
                nats_url,
                name=name,
                connect_timeout=1,
                reconnect_time_wait=1,
                max_reconnect_attempts=-1,
                ping_interval=5,
                error_cb=report,
            )
            return client
        _log.warning("nats_unreachable")
        await asyncio.sleep(0.5)


def in_words(error: BaseException) -> str:
    """Return what is wrong, for the log: whether NATS is away, or what it refuses in its own words."""
    if isinstance(error, APIError):
        return f"NATS refuses: {error.description} ({error.err_code})"
    if isinstance(error, NoStreamResponseError):
        return "NATS refuses: no stream takes this subject"
    if isinstance(error, _AWAY):
        return "NATS is out of reach"
    return f"NATS refuses: {type(error).__name__}: {error}"


def _retrieve(pinging: "asyncio.Task[None]") -> None:
    """Mark a failure as seen: who asked has been told, or has gone."""
    if not pinging.cancelled():
        pinging.exception()


class NatsLink:
    """The connection of one process; the process starts and serves without it."""

    def __init__(self, nats_url: str, name: str) -> None:
        """Begin to connect."""
        self._client: Client | None = None
        self._on_connected: list[Callable[[Client], Awaitable[None]]] = []
        self._beginning: list[asyncio.Future[None]] = []
        self._pinging: asyncio.Task[None] | None = None
        self._task = asyncio.create_task(self._connect(nats_url, name), name="nats-connect")

    @property
    def client(self) -> Client:
        """The connected client. Raises TemporarilyUnavailable while there is no connection."""
        if self._client is None or not self._client.is_connected:
            raise TemporarilyUnavailable("NATS is out of reach")
        return self._client

    def when_connected(self, begin: Callable[[Client], Awaitable[None]]) -> None:
        """Run `begin` once there is a connection, or now; its subscriptions survive reconnections."""
        if self._client is None:
            self._on_connected.append(begin)
        else:
            self._beginning.append(asyncio.ensure_future(begin(self._client)))

    async def ping(self) -> None:
        """Raises TemporarilyUnavailable unless the server answers within a second.

        The driver's own wait goes on after that: a late answer to a wait that was given up ends its reading, with a
        traceback and without a reconnection.
        """
        client = self.client
        if self._pinging is None or self._pinging.done():
            self._pinging = asyncio.create_task(client.flush(timeout=_PONG_LATEST_S), name="nats-ping")
            self._pinging.add_done_callback(_retrieve)
        try:
            await asyncio.wait_for(asyncio.shield(self._pinging), PING_S)
        except (NatsError, OSError, TimeoutError) as error:
            raise TemporarilyUnavailable("NATS is out of reach") from error

    async def close(self) -> None:
        """Leave."""
        await end_tasks([self._task] if self._pinging is None else [self._task, self._pinging])
        await asyncio.gather(*self._beginning, return_exceptions=True)
        if self._client is not None:
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                await self._client.close()

    async def _connect(self, nats_url: str, name: str) -> None:
        self._client = await open_nats(nats_url, name)
        for begin in self._on_connected:
            await begin(self._client)
