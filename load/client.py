"""A lean Centrifuge JSON client for measuring: thousands of sockets in one process, a few microseconds per message.

It does what the official SDKs do on the wire and none of their comfort: no reconnects, no recovery.
Times are `time.monotonic()` seconds.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable
from functools import partial

import msgspec
from msgspec import Raw, Struct
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from load.waiting import gather_some

REPLY_TIMEOUT_S = 20.0
"""How long connect and subscribe may take; a loaded server may be slow, a silent one is an error."""

READ_BUFFER_BYTES = 4096
"""First size of a socket's read buffer; ten thousand of them must fit into memory."""


class ServerError(Exception):
    """The server answered a command with an error; `word` is its code word in the error catalogue."""

    def __init__(self, code: int, message: str, *, is_temporary: bool = False) -> None:
        """Keep the number and the sentence; what is temporary may be tried again."""
        super().__init__(f"{code} {message}")
        self.code, self.message, self.is_temporary = code, message, is_temporary
        self.word = message.partition(":")[0]


class SocketClosedError(Exception):
    """The socket was closed; the message holds code and reason."""


class ErrorBody(Struct):
    """Why a command failed."""

    code: int
    message: str = ""
    temporary: bool = False


class Publication(Struct):
    """One message of a channel."""

    data: Raw
    offset: int = 0


class Push(Struct):
    """What the server sends unasked."""

    channel: str = ""
    pub: Publication | None = None
    unsubscribe: ErrorBody | None = None
    disconnect: ErrorBody | None = None


class Subscribed(Struct):
    """The answer to a subscribe."""

    epoch: str = ""
    offset: int = 0
    recovered: bool = False
    was_recovering: bool = False
    publications: list[Publication] = []


class RpcResult(Struct):
    """The answer to an RPC."""

    data: Raw = Raw(b"null")


class Reply(Struct):
    """One line from the server; a line without any field is its ping."""

    id: int = 0
    push: Push | None = None
    rpc: RpcResult | None = None
    error: ErrorBody | None = None
    subscribe: Subscribed | None = None


OnReply = Callable[[Reply], None]
OnPublication = Callable[["Socket", str, Publication], None]

_replies = msgspec.json.Decoder(Reply)
_TEXT = WSMsgType.TEXT
_CLOSE = WSMsgType.CLOSE


def _number_of(code: object) -> int:
    """Return a close code as a number: picows gives a member of an enum, or an int for codes it does not know."""
    return int(getattr(code, "value", code))  # type: ignore[call-overload, no-any-return]


class Socket(WSListener):
    """One connection. Commands take a callback, or are awaited with the coroutines below them."""

    __slots__ = ("_ids", "_waiting", "closed", "on_closed", "on_publication", "transport")

    def __init__(self, on_publication: OnPublication | None = None) -> None:
        """Make a socket that `open_socket` connects."""
        self.transport: WSTransport | None = None
        self.on_publication = on_publication
        self.on_closed: Callable[[Socket], None] | None = None
        self.closed = ""
        """Code and reason once the socket has gone; empty while it lives."""
        self._ids = itertools.count(1)
        self._waiting: dict[int, OnReply] = {}

    # -- what picows calls ------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep the transport."""
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Hand each reply to who waits for it and each publication to its handler."""
        if frame.msg_type is not _TEXT and frame.msg_type != _TEXT:
            if frame.msg_type == _CLOSE:
                self.closed = (
                    self.closed or f"{_number_of(frame.get_close_code())} {frame.get_close_reason()}"
                )
                transport.send_close(frame.get_close_code())
                transport.disconnect()
            return
        for reply in _replies.decode_lines(frame.get_payload_as_bytes()):
            if reply.id:
                self._waiting.pop(reply.id)(reply)
            elif reply.push is not None:
                self._take_push(reply.push)
            else:
                transport.send(_TEXT, b"{}")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Fail what still waits."""
        del transport
        self.closed = self.closed or "1006 connection lost"
        gone = Reply(error=ErrorBody(0, f"closed: {self.closed}"))
        waiting, self._waiting = self._waiting, {}
        for on_reply in waiting.values():
            on_reply(gone)
        if self.on_closed is not None:
            self.on_closed(self)

    def _take_push(self, push: Push) -> None:
        if push.pub is not None:
            if self.on_publication is not None:
                self.on_publication(self, push.channel, push.pub)
        elif push.disconnect is not None:
            self.closed = f"{push.disconnect.code} {push.disconnect.message}"
        elif push.unsubscribe is not None:
            self.close()
            self.closed = f"unsubscribed from {push.channel}: {push.unsubscribe.code}"

    # -- commands ---------------------------------------------------------------------------------------

    def send(self, kind: str, body: bytes, on_reply: OnReply) -> None:
        """Send one command: `kind` is the request field, `body` its JSON. Raises SocketClosedError."""
        number = next(self._ids)
        self._write(b'{"id":%d,"%b":%b}' % (number, kind.encode(), body))
        self._waiting[number] = on_reply

    def send_joined(self, kind: str, bodies: Iterable[bytes], on_reply: OnReply) -> None:
        """Send several commands in one frame; `on_reply` is called for each."""
        word, lines = kind.encode(), []
        for body in bodies:
            number = next(self._ids)
            self._waiting[number] = on_reply
            lines.append(b'{"id":%d,"%b":%b}' % (number, word, body))
        self._write(b"\n".join(lines))

    def call(self, method: str, data: bytes, on_reply: OnReply) -> None:
        """Send an RPC whose data is JSON text."""
        self.send("rpc", b'{"method":"%b","data":%b}' % (method.encode(), data), on_reply)

    async def rpc(self, method: str, data: object) -> Raw:
        """Return an RPC's answer as JSON text. Raises ServerError, SocketClosedError."""
        body = msgspec.json.encode({"method": method, "data": data})
        reply = await self.ask("rpc", body)
        return Raw(b"null") if reply.rpc is None else reply.rpc.data

    async def subscribe(self, channel: str) -> Subscribed:
        """Subscribe and return where the channel stands. Raises ServerError, SocketClosedError."""
        reply = await self.ask("subscribe", msgspec.json.encode({"channel": channel, "flag": 1}))
        return reply.subscribe or Subscribed()

    async def ask(self, kind: str, body: bytes, on_reply: OnReply | None = None) -> Reply:
        """Return the reply to one command; `on_reply` sees it before any push behind it.

        Raises: ServerError, SocketClosedError, TimeoutError.
        """
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def answer(reply: Reply) -> None:
            if on_reply is not None:
                on_reply(reply)
            if not future.done():
                future.set_result(reply)

        self.send(kind, body, answer)
        async with asyncio.timeout(REPLY_TIMEOUT_S):
            reply = await future
        if reply.error is None:
            return reply
        if not reply.error.code:
            raise SocketClosedError(self.closed)
        raise ServerError(reply.error.code, reply.error.message, is_temporary=reply.error.temporary)

    def close(self) -> None:
        """Close the socket in order; the server sees 1000."""
        if self.transport is not None and not self.closed:
            self.closed = "1000 closed by us"
            self.transport.send_close()
            self.transport.disconnect()

    def _write(self, message: bytes) -> None:
        if self.closed or self.transport is None:
            raise SocketClosedError(self.closed or "not open yet")
        self.transport.send(_TEXT, message)


async def open_socket(
    url: str,
    token: str = "",
    on_publication: OnPublication | None = None,
    make: type[Socket] = Socket,
    local_address: str | None = None,
) -> Socket:
    """Return a connected socket, from an address of our own choice. Raises ServerError, SocketClosedError, OSError."""
    socket = make(on_publication)
    await ws_connect(
        lambda: socket,
        url,
        websocket_handshake_timeout=REPLY_TIMEOUT_S,
        read_buffer_init_size=READ_BUFFER_BYTES,
        local_addr=(local_address, 0) if local_address else None,
    )
    await socket.ask("connect", msgspec.json.encode({"token": token, "name": "load"} if token else {}))
    return socket


async def open_sockets(
    url: str, tokens: Iterable[str], on_publication: OnPublication | None = None, make: type[Socket] = Socket
) -> list[Socket]:
    """Return one connected socket per token, opened some at a time."""
    return await gather_some([partial(open_socket, url, t, on_publication, make) for t in tokens])
