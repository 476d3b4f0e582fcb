"""NATS: one connection per process that comes back by itself after an outage."""

import asyncio
import contextlib

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from protocols.errors import TemporarilyUnavailable

__all__ = ["Client", "NatsError", "open_nats", "ping_nats"]

_log = structlog.get_logger()


async def open_nats(nats_url: str, name: str) -> Client:
    """Return a connected client that reconnects for ever; waits until the server is there."""
    client = Client()

    async def report(error: Exception) -> None:
        _log.warning("nats_error", error=f"{type(error).__name__}: {error}")

    while True:
        with contextlib.suppress(NatsError, OSError, TimeoutError):
            await client.connect(
                nats_url,
                name=name,
                connect_timeout=1,
                reconnect_time_wait=1,
                max_reconnect_attempts=-1,
                ping_interval=5,
                error_cb=report,
                allow_reconnect=True,
            )
            return client
        _log.warning("nats_unreachable")
        await asyncio.sleep(0.5)


async def ping_nats(client: Client) -> None:
    """Raises TemporarilyUnavailable unless the server answers within a second."""
    try:
        await client.flush(timeout=1)
    except (NatsError, OSError, TimeoutError) as error:
        raise TemporarilyUnavailable("NATS is out of reach") from error
