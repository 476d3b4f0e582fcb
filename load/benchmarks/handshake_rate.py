"""Clients that only come in: handshake, connect with a token, stay. They share the machine, so they cost little.

One turn of a client is what an SDK does on the wire: the upgrade request, then one frame with the connect command once
it was answered. What comes back is read as far as it takes to know that it let the client in.
"""

import asyncio
import base64
import os
from collections.abc import Sequence
from urllib.parse import urlsplit

from load.benchmarks.programs import BenchmarkError

UNDER_WAY = 128
"""Clients that knock at the same time: enough to keep one server busy, few enough that none waits long."""

ENTER_TIMEOUT_S = 30.0


def masked_frame(payload: bytes) -> bytes:
    """Return one text frame of a client; the mask is zero, which is allowed and leaves the payload as it is."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, 0x80 | size)) + bytes(4) + payload
    return b"\x81\xfe" + size.to_bytes(2, "big") + bytes(4) + payload


class Knocker(asyncio.Protocol):
    """One client."""

    __slots__ = ("_done", "_head", "_token", "_upgraded", "transport")

    def __init__(self, head: bytes, token: str, done: "asyncio.Future[Knocker]") -> None:
        """Send `head`, then the token; `done` gets this client once it is in."""
        self._head, self._token, self._done = head, token, done
        self._upgraded = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Ask for the upgrade."""
        self.transport = transport
        transport.write(self._head)

    def data_received(self, data: bytes) -> None:
        """Connect, then wait for the answer; answers are far smaller than a segment."""
        if not self._upgraded:
            if not data.startswith(b"HTTP/1.1 101 "):
                self._fail(data)
                return
            self._upgraded = True
            self.transport.write(masked_frame(b'{"id":1,"connect":{"token":"%b"}}' % self._token.encode()))
        elif not self._done.done():
            if b'"connect":{' in data:
                self._done.set_result(self)
            else:
                self._fail(data)

    def connection_lost(self, error: Exception | None) -> None:
        """Nobody else ends a connection of ours."""
        if not self._done.done():
            self._done.set_exception(BenchmarkError(f"a client was sent away: {error}"))

    def _fail(self, data: bytes) -> None:
        if not self._done.done():
            self._done.set_exception(BenchmarkError(f"a client was not let in: {data[:200]!r}"))
        self.transport.abort()


class Knocking:
    """Clients of one server, who come in and stay until they are sent home."""

    def __init__(self, url: str) -> None:
        """Knock at nothing yet."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._host, self._port = parts.hostname, parts.port
        key = base64.b64encode(os.urandom(16))
        self._head = (
            b"GET %b HTTP/1.1\r\nHost: %b:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
            % (parts.path.encode(), self._host.encode(), self._port, key)
        )
        self._inside: list[Knocker] = []

    async def come_in(self, tokens: Sequence[str]) -> None:
        """Connect a client for each token, a few at a time. Raises BenchmarkError when one is not let in."""
        left = list(tokens)

        async def one_after_another() -> None:
            while left:
                self._inside.append(await self._enter(left.pop()))

        async with asyncio.timeout(ENTER_TIMEOUT_S), asyncio.TaskGroup() as group:
            for _ in range(UNDER_WAY):
                group.create_task(one_after_another())

    async def go_home(self) -> None:
        """Lose every connection, as a network does, and see the transports off."""
        for client in self._inside:
            client.transport.abort()
        self._inside.clear()
        await asyncio.sleep(0)

    async def _enter(self, token: str) -> Knocker:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Knocker] = loop.create_future()
        await loop.create_connection(lambda: Knocker(self._head, token, done), self._host, self._port)
        return await done
