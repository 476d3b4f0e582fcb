"""Connections for networks that block websockets: the server streams an answer, the client posts its commands.

`/connection/http_stream` and `/connection/sse` hold the stream. `/emulation` takes posted commands and passes them to
the process that holds the client's stream, which may be another one. A session consists of a handle, by which it is
found, and a secret, which is compared in constant time. The functions are ASGI applications; they raise refusals of the
catalogue before they answer.
"""

import asyncio
import logging
import re
import secrets
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any, Protocol
from urllib.parse import parse_qs

from protocols.errors import (
    InvalidInput,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    TemporarilyUnavailable,
    UnsupportedMediaType,
)
from protocols.wire.centrifuge import CodecError, DisconnectCode
from realtime.codecs import JSON, PROTOBUF, Codec
from realtime.connection.connection import Connection
from realtime.endpoints.socket_endpoint import SocketEndpoint, foreign
from realtime.limits import MESSAGE_BYTES_MAX
from realtime.ports import ConnectRequestContext
from realtime.transport.sockets import Receive, Scope, Send
from realtime.transport.streams import (
    TRANSPORT_EXTENSION,
    Framing,
    StreamSocket,
    frame_bytes,
    frame_events,
    frame_lines,
)

_log = logging.getLogger(__name__)

HTTP_STREAM_PATH = "/connection/http_stream"
SSE_PATH = "/connection/sse"
EMULATION_PATH = "/emulation"

METHODS = {HTTP_STREAM_PATH: "POST", SSE_PATH: "GET, POST", EMULATION_PATH: "POST"}
"""The methods of each path beside OPTIONS."""

POSTED_BYTES_MAX = 2 * MESSAGE_BYTES_MAX + 1024
"""A message inside a JSON string may take twice its size, because every quote is escaped."""

BODY_TIMEOUT_S = 10.0
"""How long a body may take to arrive."""

_HANDLE_CHARS = 16
_SESSION = re.compile(r"[0-9a-f]{48}")
_NODE = re.compile(r"[0-9a-f]{16}")


class Mailbox(Protocol):
    """Passes posted commands to the process that holds the client's stream."""

    async def send(self, node: str, session: str, data: bytes) -> bool:
        """Send to a process; False when none has that name. Raises TemporarilyUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class _Stream:
    """An open stream, by the handle of its session."""

    secret: str
    transport: str
    socket: StreamSocket
    connection: Connection


class Emulation:
    """The streams of one process."""

    def __init__(self, endpoint: SocketEndpoint, mailbox: Mailbox, node: str) -> None:
        """Share hub and origins of the websocket endpoint; `node` is this process's name in the mailbox."""
        self._endpoint, self._mailbox = endpoint, mailbox
        self.node = node
        self._streams: dict[str, _Stream] = {}

    # Streams.

    async def serve_http_stream(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Hold a stream of JSON lines, or of Protobuf messages when the request says so; return the status."""
        headers = _headers(scope)
        if scope["method"] == "OPTIONS":
            return await _answer(send, 204, allow=METHODS[HTTP_STREAM_PATH])
        if scope["method"] != "POST":
            raise MethodNotAllowed
        codec = _codec(headers)
        framing = frame_bytes if codec.binary else frame_lines
        media_type = b"application/octet-stream" if codec.binary else b"application/json"
        self._admit(headers)
        connect = await _read_body(headers, receive, MESSAGE_BYTES_MAX)
        context = self._context(scope, headers, "http_stream")
        await _begin(send, media_type, b"")
        await self._serve_stream(scope, receive, send, codec, framing, context, connect)
        return 200

    async def serve_sse(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Hold a stream of server-sent events, JSON always: EventSource names no format. Return the status."""
        headers = _headers(scope)
        if scope["method"] == "OPTIONS":
            return await _answer(send, 204, allow=METHODS[SSE_PATH])
        if scope["method"] not in {"GET", "POST"}:
            raise MethodNotAllowed
        self._admit(headers)
        if scope["method"] == "GET":
            query = scope["query_string"]
            if len(query) > 3 * MESSAGE_BYTES_MAX:
                raise PayloadTooLarge(maximum_bytes=MESSAGE_BYTES_MAX)
            connect = parse_qs(query.decode("latin-1")).get("cf_connect", [""])[0].encode()
            if len(connect) > MESSAGE_BYTES_MAX:
                raise PayloadTooLarge(maximum_bytes=MESSAGE_BYTES_MAX)
        else:
            connect = await _read_body(headers, receive, MESSAGE_BYTES_MAX)
        context = self._context(scope, headers, "sse")
        await _begin(
            send, b"text/event-stream; charset=utf-8", b"\r\n"
        )  # the first bytes open an EventSource
        await self._serve_stream(scope, receive, send, JSON, frame_events, context, connect)
        return 200

    def _admit(self, headers: dict[bytes, bytes]) -> None:
        """Raise NotAllowed for a foreign origin, TemporarilyUnavailable when this process takes no more."""
        self._check_origin(headers)
        if self._endpoint.hub.admission.check() is not None:
            raise TemporarilyUnavailable("This process takes no new connections now; connect again")

    def _check_origin(self, headers: dict[bytes, bytes]) -> None:
        origin, host = (headers.get(name, b"").decode("latin-1") for name in (b"origin", b"host"))
        if not self._endpoint.origin_allowed(origin, host):
            _log.info("a stream was refused: foreign origin %.200r", origin)
            raise foreign(origin)

    def _context(self, scope: Scope, headers: dict[bytes, bytes], transport: str) -> ConnectRequestContext:
        return ConnectRequestContext(
            origin=headers.get(b"origin", b"").decode("latin-1"),
            remote_ip=(scope.get("client") or ("",))[0],
            transport=transport,
            stream_session=secrets.token_hex(_HANDLE_CHARS // 2) + secrets.token_hex(16),
            stream_node=self.node,
        )

    async def _serve_stream(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        codec: Codec,
        framing: Framing,
        context: ConnectRequestContext,
        connect: bytes,
    ) -> None:
        """Make the stream a connection of the hub and serve it until either side ends it."""
        transport = scope.get("extensions", {}).get(TRANSPORT_EXTENSION, {}).get("transport")
        socket = StreamSocket(send, framing, transport, self._endpoint.hub.limits)
        connection = self._endpoint.connect(socket, codec, context)
        session = context.stream_session
        handle, secret = session[:_HANDLE_CHARS], session[_HANDLE_CHARS:]
        self._streams[handle] = _Stream(secret, context.transport, socket, connection)
        try:
            socket.post(connect)
            await socket.run(receive)
        finally:
            del self._streams[handle]

    # Posted commands.

    async def serve_emulation(self, scope: Scope, receive: Receive, send: Send) -> int:
        """Take commands for a stream of any process; 204 says passed on, the answers follow in the stream."""
        headers = _headers(scope)
        if scope["method"] == "OPTIONS":
            return await _answer(send, 204, allow=METHODS[EMULATION_PATH])
        if scope["method"] != "POST":
            raise MethodNotAllowed
        self._check_origin(headers)
        codec = _codec(headers)
        body = await _read_body(headers, receive, POSTED_BYTES_MAX)
        try:
            posted = codec.decode_emulation(body)
        except CodecError as error:
            raise InvalidInput("Send session, node and data") from error
        if len(posted.data) > MESSAGE_BYTES_MAX:
            raise PayloadTooLarge(maximum_bytes=MESSAGE_BYTES_MAX)
        if not _NODE.fullmatch(posted.node):
            raise NotFound("No process has this name; connect again")
        if posted.node == self.node:
            self.deliver(posted.session, posted.data)
        elif not await self._mailbox.send(posted.node, posted.session[:64], posted.data):
            raise NotFound("No process has this name any more; connect again")
        return await _answer(send, 204)

    def deliver(self, session: str, data: bytes) -> None:
        """Pass commands to the stream of a session in this process; they are dropped when there is none."""
        if not _SESSION.fullmatch(session):
            return
        stream = self._streams.get(session[:_HANDLE_CHARS])
        if stream is None or not compare_digest(stream.secret, session[_HANDLE_CHARS:]):
            return
        if not stream.socket.post(data):
            stream.connection.disconnect(DisconnectCode.TOO_MANY_REQUESTS, "too many requests")

    def streams_by_transport(self) -> dict[str, int]:
        """Return how many streams there are of each kind."""
        kinds = [stream.transport for stream in self._streams.values()]
        return {name: kinds.count(name) for name in ("http_stream", "sse")}


def new_node() -> str:
    """Return a random name for a process; it is new at each start, as streams never outlive their process."""
    return secrets.token_hex(8)


def _headers(scope: Scope) -> dict[bytes, bytes]:
    return dict(scope["headers"])


def _codec(headers: dict[bytes, bytes]) -> Codec:
    """Return the codec of the request's type. Raises UnsupportedMediaType."""
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type == b"application/octet-stream":
        return PROTOBUF
    if media_type in {b"application/json", b""}:
        return JSON
    raise UnsupportedMediaType("Send `application/json`, or `application/octet-stream` for Protobuf")


async def _read_body(headers: dict[bytes, bytes], receive: Receive, bytes_max: int) -> bytes:
    """Return the whole body. Raises PayloadTooLarge, InvalidInput, TemporarilyUnavailable when it stalls."""
    announced = headers.get(b"content-length", b"0")
    if not announced.isdigit() or int(announced[:12]) > bytes_max:
        raise PayloadTooLarge(maximum_bytes=bytes_max)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while True:
                message: Any = await receive()
                if message["type"] == "http.disconnect":
                    raise InvalidInput("The body ended early")
                body += message.get("body", b"")
                if len(body) > bytes_max:
                    raise PayloadTooLarge(maximum_bytes=bytes_max)
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise TemporarilyUnavailable("The body did not arrive in time") from None


async def _begin(send: Send, media_type: bytes, first: bytes) -> None:
    """Send the head of a stream, with headers that keep proxies from caching and buffering it."""
    headers = [
        (b"content-type", media_type),
        (b"cache-control", b"no-store, no-transform"),
        (b"x-accel-buffering", b"no"),
        (
            b"connection",
            b"close",
        ),  # no request follows on it, so it may be aborted when the peer does not read
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if first:
        await send({"type": "http.response.body", "body": first, "more_body": True})


async def _answer(send: Send, status: int, allow: str = "") -> int:
    headers = [(b"allow", f"{allow}, OPTIONS".encode())] if allow else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
    return status
