"""A streamed HTTP answer as a socket: the server's half of HTTP streaming and server-sent events.

What the connection writes is sent as the body of one long answer. What the client sends arrives in other requests,
which call `post`. The connection is the same as over a websocket: same queue bounds, pings and disconnects.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from realtime.limits import TURN_FRAMES_MAX, Limits
from realtime.transport.admission import Admission, RefusedConnection
from realtime.transport.frames import NO_STATUS, split_frames
from realtime.transport.refusals import refusal_bytes
from realtime.transport.sockets import Receive, Send, SocketUser

TRANSPORT_EXTENSION = "mnbara.transport"

_KEPT_BYTES = 64
"""Memory of a kept message beside its own bytes: empty ones count too."""

Framing = Callable[[bytes], bytes]
"""Turns the payload of one websocket frame into bytes of the stream."""


class StreamingHttp(HttpToolsProtocol):
    """uvicorn's HTTP protocol; the application gets the transport, to see unsent bytes and to abort it.

    With an admission it refuses websocket handshakes itself: an overloaded process runs no application to refuse.
    """

    def __init__(self, *words: Any, admission: Admission | None = None, **named: Any) -> None:  # noqa: ANN401 - uvicorn's
        """Signature given by uvicorn, and the admission of new websockets."""
        super().__init__(*words, **named)
        self._admission = admission

    def handle_websocket_upgrade(self) -> None:
        """Have the admission queue hand over to the websocket class, or refuse."""
        if self._admission is None:
            self._hand_over()
        else:
            self.transport.pause_reading()
            self._admission.enqueue(partial(self._upgrade, self._admission))

    def _hand_over(self) -> None:
        super().handle_websocket_upgrade()
        self.parser = None  # type: ignore[assignment]  # breaks the reference cycle with the parser

    def _upgrade(self, admission: Admission) -> None:
        if self.transport.is_closing():
            return
        self.transport.resume_reading()
        refused = admission.check()
        if refused is None:
            self._hand_over()
        else:
            refuse_upgrade(self.transport, refused)

    def data_received(self, data: bytes) -> None:
        """Parse; an offer of another protocol than websocket is not taken up, its request is served as it is.

        The parser ends at any upgrade, without the body. Source: RFC 9110 section 7.8, a server may ignore Upgrade.
        """
        self._unset_keepalive_if_required()
        head, rest = b"", memoryview(data)
        while True:
            try:
                if head:
                    self.parser.feed_data(head)
                self.parser.feed_data(rest)
            except httptools.HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
            except httptools.HttpParserUpgrade as upgrade:
                if self._is_declined():
                    head, rest = self._head_without_offer(), rest[upgrade.args[0] :]
                    self.parser = httptools.HttpRequestParser(self)
                    continue
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
            return

    def _is_declined(self) -> bool:
        parser = self.parser
        return parser.should_upgrade() and parser.get_method() != b"CONNECT" and not self._should_upgrade()

    def _head_without_offer(self) -> bytes:
        """Return the parsed head without the offer of an upgrade."""
        lines = [
            b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        ]
        for name, value in self.headers:
            kept = value
            if name == b"connection":
                options = [option.strip() for option in value.split(b",")]
                kept = b", ".join(option for option in options if option.lower() != b"upgrade")
            if name != b"upgrade" and (kept or not value):
                lines.append(b"%b: %b" % (name, kept))
        return b"\r\n".join([*lines, b"", b""])

    def on_headers_complete(self) -> None:
        """Begin to serve the request, unless its head is parsed again."""
        if not self._is_declined():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the request, unless its head is parsed again."""
        if not self._is_declined():
            super().on_message_complete()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT_EXTENSION: {"transport": self.transport}}


def refuse_upgrade(transport: asyncio.Transport, refused: RefusedConnection) -> None:
    """Answer a handshake with 503 and close."""
    transport.write(refusal_bytes(refused.refusal))
    transport.close()


def frame_lines(payload: bytes) -> bytes:
    """Return JSON messages as lines."""
    return payload + b"\n"


def frame_events(payload: bytes) -> bytes:
    """Return JSON messages as server-sent events, one each."""
    return b"".join(b"data: %b\n\n" % message for message in payload.split(b"\n") if message)


def frame_bytes(payload: bytes) -> bytes:
    """Return Protobuf messages as they are: each begins with its length."""
    return payload


class StreamSocket:
    """The socket of one stream; `sockets.Socket` for its connection."""

    def __init__(
        self, send: Send, framing: Framing, transport: asyncio.Transport | None, limits: Limits
    ) -> None:
        """Write to an answer whose head has been sent; nothing is sent until `run`."""
        self._send, self._framing, self._transport = send, framing, transport
        self._limits = limits
        self._user: SocketUser | None = None
        self._outbox: list[bytes] = []
        self._queued = 0
        self._inbox: deque[bytes] = deque()
        self._inbox_bytes = 0
        self._wake = asyncio.Event()
        self._reading = True
        self._paused = self._gone = False
        self._cut: asyncio.TimerHandle | None = None
        self.closing = False
        """The disconnect is queued: nothing more is taken from the client."""

    # Called by the connection.

    def attach(self, user: SocketUser) -> None:
        """Hand every further message and event to `user`."""
        self._user = user

    def write(self, frames: bytes, /) -> None:
        """Queue ready frames."""
        if self.closing or self._gone:
            return
        data = b"".join(self._framing(payload) for _opcode, payload in split_frames(frames))
        self._outbox.append(data)
        self._queued += len(data)
        self._wake.set()
        if not self._paused and self._queued > self._limits.stream_high_water_bytes and self._user:
            self._paused = True
            self._user.writing_paused()

    def buffered(self) -> int:
        """Return the bytes that the transport has not sent."""
        return self._queued + self._unsent()

    def pause_reading(self) -> None:
        """Keep messages that are posted from now on."""
        self._reading = False

    def resume_reading(self) -> None:
        """Pass on the kept messages."""
        if not self._reading:
            self._reading = True
            asyncio.get_running_loop().call_soon(self._pass_on_kept)

    def close(self, code: int, reason: str) -> None:  # noqa: ARG002 - the disconnect push has said both
        """End the answer after everything queued; abort the transport of a client that does not read it."""
        if not self.closing:
            self.closing = True
            self._inbox.clear()
            self._wake.set()
            if self._transport is not None:
                loop = asyncio.get_running_loop()
                self._cut = loop.call_later(self._limits.close_timeout_s, self._transport.abort)

    # Called by the client's requests.

    def post(self, data: bytes) -> bool:
        """Pass on one message, or keep it while the connection is busy; False when too much is kept."""
        if self.closing or self._gone:
            return True
        if self._reading and not self._inbox:
            if self._user:
                self._user.message_received(data)
            return True
        size = len(data) + _KEPT_BYTES
        if self._inbox_bytes + size > self._limits.stream_inbox_bytes_max:
            return False
        self._inbox.append(data)
        self._inbox_bytes += size
        return True

    async def run(self, receive: Receive) -> None:
        """Send what is written until the connection closes the stream or the client is gone."""
        watching = asyncio.get_running_loop().create_task(self._watch(receive))
        try:
            await self._send_queued()
        finally:
            watching.cancel()
            self._gone = True
            if self._cut is not None and not self._unsent():
                self._cut.cancel()  # otherwise it has to end a connection whose peer may be dead
            if self._user:
                self._user.socket_lost(NO_STATUS)  # clients of streams disconnect by ending the stream

    def _unsent(self) -> int:
        """Return the bytes the transport has not sent yet."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    async def _watch(self, receive: Receive) -> None:
        """Notice when the client ends the stream."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._wake.set()

    async def _send_queued(self) -> None:
        """Send what `write` queued, all of it at once, then the end."""
        while not self._gone:
            if self._outbox:
                outbox, self._outbox = self._outbox, []
                data = b"".join(outbox)
                await self._send({"type": "http.response.body", "body": data, "more_body": True})
                self._queued -= len(data)
                if self._paused and self._queued < self._limits.stream_high_water_bytes // 4:
                    self._paused = False
                    if self._user:
                        self._user.writing_resumed()
            elif self.closing:
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    def _pass_on_kept(self) -> None:
        """Pass on kept messages, as far as the connection takes them, and a bounded number per turn."""
        for _ in range(TURN_FRAMES_MAX):
            if not self._inbox or not self._reading or self.closing or not self._user:
                return
            data = self._inbox.popleft()
            self._inbox_bytes -= len(data) + _KEPT_BYTES
            self._user.message_received(data)
        asyncio.get_running_loop().call_soon(self._pass_on_kept)
