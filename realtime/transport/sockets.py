"""The interface between a connection and its transport: `Socket` below, `SocketUser` above.

`websocket.LeanWebSocket` is a socket that an ASGI application gets from `scope["extensions"]["mnbara.socket"]`;
`AsgiSocket` is one over ASGI `receive` and `send`, for servers without the extension.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from realtime.transport.frames import ABNORMAL, NO_STATUS, TEXT, split_frames

EXTENSION = "mnbara.socket"

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class SocketUser(Protocol):
    """What a socket calls of its connection; every call is synchronous, on the event loop."""

    def message_received(self, payload: bytes) -> None:
        """Take one whole message."""
        ...

    def writing_paused(self) -> None:
        """The transport's buffer is above its high-water mark."""
        ...

    def writing_resumed(self) -> None:
        """The transport's buffer has drained."""
        ...

    def socket_ending(self, end: Callable[[], None]) -> None:
        """The client closed its side: call `end` later, from the admission queue."""
        ...

    def socket_lost(self, code: int) -> None:
        """The connection is gone; nothing written from now on arrives.

        `code` is that of the close frame by which the client left, `NO_STATUS` for a close without one, `ABNORMAL` for
        a connection that broke; one that was closed for what it sent has the code it was closed with.
        """
        ...

    def server_stopping(self) -> None:
        """The process is about to stop."""
        ...

    def flooded(self, reason: str) -> None:
        """The client sent too many frames; close the socket, which reads no more."""
        ...


class Socket(Protocol):
    """An open websocket, as the connection sees it."""

    def write(self, frames: bytes, /) -> None:
        """Send ready frames; buffers without bound, so look at `buffered` first."""
        ...

    def attach(self, user: SocketUser) -> None:
        """Hand every further message and event to `user`."""
        ...

    def buffered(self) -> int:
        """Return the bytes the transport has not sent yet."""
        ...

    def pause_reading(self) -> None:
        """Pass on no message until `resume_reading`, except the one being parsed."""
        ...

    def resume_reading(self) -> None:
        """Pass on messages again."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, wait some seconds for the peer's, and close the transport."""
        ...


class AsgiSocket:
    """A socket over ASGI `receive` and `send`; one task sends what the connection writes."""

    def __init__(self, receive: Receive, send: Send, high_water: int = 65_536) -> None:
        """Keep both functions; nothing runs until `run`."""
        self._receive, self._send = receive, send
        self._high_water = high_water
        self._user: SocketUser | None = None
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._paused = False
        self._closing: tuple[int, str] | None = None
        self._wake = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()

    def attach(self, user: SocketUser) -> None:
        """Hand every further message and event to `user`."""
        self._user = user

    def write(self, frames: bytes, /) -> None:
        """Queue ready frames for the sender task."""
        if self._closing is not None:
            return
        self._queue.append(frames)
        self._queued += len(frames)
        self._wake.set()
        if not self._paused and self._queued > self._high_water and self._user:
            self._paused = True
            self._user.writing_paused()

    def buffered(self) -> int:
        """Return the bytes not yet accepted by the server."""
        return self._queued

    def pause_reading(self) -> None:
        """Call `receive` no more until `resume_reading`."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        """Call `receive` again."""
        self._may_read.set()

    def close(self, code: int, reason: str) -> None:
        """Close after everything queued was sent."""
        if self._closing is None:
            self._closing = (code, reason)
            self._wake.set()
            self._may_read.set()

    async def run(self) -> None:
        """Pass messages in both directions until the socket is closed or lost."""
        sender = asyncio.get_running_loop().create_task(self._send_queued())
        code = ABNORMAL
        try:
            while self._closing is None:
                await self._may_read.wait()
                message = await self._receive()
                if message["type"] == "websocket.disconnect":
                    code = message.get("code", NO_STATUS)
                    break
                text = message.get("text")
                payload = text.encode() if text is not None else message.get("bytes") or b""
                if self._user and self._closing is None:
                    self._user.message_received(payload)
            if self._closing is not None:
                await sender
        finally:
            sender.cancel()
            if self._user:
                self._user.socket_lost(code)

    async def _send_queued(self) -> None:
        """Send what `write` queued, then the close."""
        while True:
            while self._queue:
                frames = self._queue.popleft()
                for opcode, payload in split_frames(frames):
                    if opcode == TEXT:
                        await self._send({"type": "websocket.send", "text": payload.decode()})
                    else:
                        await self._send({"type": "websocket.send", "bytes": payload})
                self._queued -= len(frames)
                if self._paused and self._queued < self._high_water // 4 and self._user:
                    self._paused = False
                    self._user.writing_resumed()
            if self._closing is not None:
                code, reason = self._closing
                await self._send({"type": "websocket.close", "code": code or NO_STATUS, "reason": reason})
                return
            self._wake.clear()
            await self._wake.wait()
