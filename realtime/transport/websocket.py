"""The websocket protocol class uvicorn runs: `uvicorn.Config(ws=LeanWebSocket)`.

The library `websockets` (sans-I/O) checks handshakes that `HandshakeSniffer` did not recognise; after the handshake
`frames.FrameReader` parses. An ASGI application sees an ordinary websocket. An application that knows the extension
`mnbara.socket` may attach a `sockets.SocketUser` instead. Messages are then plain calls out of `data_received`, ready
frames go straight to the transport, and the application may return while the socket stays open: an idle connection
keeps no task, scope or coroutine. There is no permessage-deflate: it costs 53 KB a connection. Source: RFC 6455.
"""

import asyncio
import http
import logging
import time
from collections import deque
from typing import Any, cast
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.protocols.utils import ClientDisconnected, get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from protocols.budgets import decide
from protocols.errors import (
    Internal,
    InvalidInput,
    MethodNotAllowed,
    NotAllowed,
    Refusal,
    TemporarilyUnavailable,
)
from realtime.limits import DISCARDED_BYTES_MAX, FRAMES_RULE, Limits
from realtime.transport.frames import (
    ABNORMAL,
    BINARY,
    CLOSE,
    NO_STATUS,
    PING,
    POLICY_VIOLATION,
    PONG,
    TEXT,
    FrameReader,
    WireError,
    build_close,
    build_frame,
    parse_close,
)
from realtime.transport.refusals import refuse_with
from realtime.transport.sockets import EXTENSION, Message, Scope, SocketUser

_log = logging.getLogger(__name__)

_DENIAL = "websocket.http.response"
"""The ASGI extension with which an application answers a handshake by an HTTP response of its own."""

_CLOSE_TIMEOUT_S = Limits().close_timeout_s
_MESSAGES_QUEUED_MAX = 16
"""Messages an ASGI application may leave unread before the socket is not read."""


class _Handshake:
    """State that is needed until the application has accepted or refused."""

    __slots__ = ("app_state", "config", "denial", "protocol", "response")

    def __init__(self, config: Config, app_state: dict[str, Any]) -> None:
        self.config, self.app_state = config, app_state
        self.protocol = ServerProtocol()
        self.response: Response | None = None
        self.denial: Response | None = None
        """The application's own refusal, until its body is known."""

    def end(self) -> bytes:
        """Return the bytes to send; close the parser, which breaks a reference cycle."""
        self.protocol.parser.close()
        return b"".join(self.protocol.data_to_send())


def _read_request(head: bytes) -> Request | None:
    """Return the handshake in a head that the HTTP parser has read, checked and written anew; None unless it is a GET.

    A second parser would have limits of its own, and refuse what the first has accepted.
    """
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, _, rest = first.partition(" ")
    if method != "GET":
        return None
    fields = (line.partition(": ") for line in lines)
    return Request(
        rest.rpartition(" ")[0], Headers([(name, value.strip(" \t")) for name, _, value in fields])
    )


class _Inbox:
    """State for applications that use ASGI `receive` and `send`."""

    __slots__ = ("events", "waiter", "writable")

    def __init__(self) -> None:
        self.events: deque[Message] = deque()
        self.waiter: asyncio.Future[None] | None = None
        self.writable: asyncio.Future[None] | None = None
        """Set while the transport's buffer is above its high-water mark."""


class LeanWebSocket(FrameReader, asyncio.Protocol):
    """One websocket connection of uvicorn."""

    __slots__ = (
        "_close_sent",
        "_close_timer",
        "_discard_input",
        "_discarded_bytes",
        "_frames_tat_us",
        "_handshake",
        "_inbox",
        "_lost",
        "_parse_scheduled",
        "_state",
        "_user",
        "transport",
        "write",
    )

    def __init__(
        self,
        config: Config | None,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Signature given by uvicorn; without a config the handshake has been done."""
        super().__init__()
        self._state = server_state
        self._handshake = None if config is None else _Handshake(config, app_state)
        self._inbox: _Inbox | None = None
        self._user: SocketUser | None = None
        self._close_sent = self._lost = self._discard_input = self._parse_scheduled = False
        self._frames_tat_us = self._discarded_bytes = 0
        self._close_timer: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport

    @classmethod
    def opened(cls, server_state: ServerState, transport: asyncio.Transport) -> "LeanWebSocket":
        """Return a websocket on a transport whose handshake was answered elsewhere; call `attach` next."""
        websocket = cls(None, server_state, {})
        websocket.connection_made(transport)
        return websocket

    # Called by uvicorn and the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the transport from the HTTP protocol."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self.write = self.transport.write
        self._state.connections.add(self)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """Parse as much as one turn allows; a violation of the protocol closes with its code."""
        if self._handshake is not None:
            self._receive_handshake(self._handshake, data)
            return
        if self._discard_input:
            self._discard(data)
            return
        try:
            if self.feed(data):
                self._continue_next_turn()
        except WireError as error:
            self._fail(error.code, error.reason)

    def eof_received(self) -> bool:
        """Close a half-closed connection: a websocket needs both directions (RFC 6455 7.1.1).

        An attached user does it in the admission queue: thousands may lose their connection in the same moment.
        """
        if self._user is None:
            return False
        self._user.socket_ending(self._end)
        return True

    def _end(self) -> None:
        """Clean up after a peer that is gone."""
        user, self._user = self._user, None
        if user is not None:
            user.socket_lost(ABNORMAL)
        if not self._lost:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - any loss is the same
        """Tell the attached user or the ASGI application, once."""
        self._state.connections.discard(self)
        self._lost = True
        if self._close_timer is not None:
            self._close_timer.cancel()
            self._close_timer = None
        self.pending, self.fragments = b"", None
        user, self._user = self._user, None
        if user is not None:
            user.socket_lost(ABNORMAL)
        self._notify_application(NO_STATUS if self._close_sent else ABNORMAL, "")

    def pause_writing(self) -> None:
        """The transport's buffer is above its high-water mark."""
        if self._user is not None:
            self._user.writing_paused()
        elif self._inbox is not None and self._inbox.writable is None:
            self._inbox.writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """The transport's buffer has drained."""
        if self._user is not None:
            self._user.writing_resumed()
        elif self._inbox is not None and self._inbox.writable is not None:
            self._inbox.writable.set_result(None)
            self._inbox.writable = None

    def shutdown(self) -> None:
        """Close because the server stops: an attached user does so itself, others get 1012."""
        if self._handshake is not None:
            self._refuse(TemporarilyUnavailable("This process ends; connect again"))
        elif self._user is not None and not self._close_sent:
            self._user.server_stopping()
        else:
            self._notify_application(1012, "service restart")
            self.close(1012, "service restart")

    # Called by an attached connection (`sockets.Socket`).

    def attach(self, user: SocketUser) -> None:
        """Hand every further message and event to `user`; messages already queued go first."""
        self._user = user
        inbox, self._inbox = self._inbox, None
        if self._lost:
            self._user = None
            user.socket_lost(ABNORMAL)
            return
        if inbox is not None and inbox.writable is not None:
            inbox.writable.set_result(None)
            user.writing_paused()
        for event in inbox.events if inbox else ():
            if event["type"] == "websocket.receive":
                text = event.get("text")
                user.message_received(text.encode() if text is not None else event["bytes"])
        if not self.reading:
            self.resume_reading()

    def buffered(self) -> int:
        """Return the bytes the transport has not sent yet."""
        return self.transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Stop after the message being parsed."""
        if self.reading:
            self.reading = False
            if not self._lost:
                self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Continue with buffered bytes, then with the network."""
        if not self.reading:
            self.reading = True
            self._schedule_parse()

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, wait some seconds for the peer's, and close the transport."""
        if self._close_sent or self._lost:
            return
        self._close_sent = True
        self.write(build_close(code, reason))
        self.resume_reading()  # the peer's close frame has to be seen
        self._abort_later()

    # Frames.

    def message_received(self, payload: bytes, opcode: int) -> None:
        """Pass a whole message to the user or the ASGI application."""
        if self._close_sent:
            self.surplus_received()
            return
        if self._user is not None:
            self._user.message_received(payload)
            return
        if opcode == TEXT:
            self._put({"type": "websocket.receive", "text": payload.decode()})
        else:
            self._put({"type": "websocket.receive", "bytes": payload})
        if self._inbox is not None and len(self._inbox.events) >= _MESSAGES_QUEUED_MAX:
            self.pause_reading()

    def control_received(self, opcode: int, payload: bytes) -> None:
        """Answer pings and closes. Raises WireError for a close that breaks the rules."""
        if opcode == PING:
            # Only the latest ping needs an answer (RFC 6455 5.5.3), so a peer that does not read gets none.
            if not self._close_sent and not self.transport.get_write_buffer_size():
                self.write(build_frame(payload, PONG))
        elif opcode == CLOSE:
            code, reason = parse_close(payload)
            if not self._close_sent:
                self._close_sent = True
                self.write(build_close(code))
                user, self._user = self._user, None
                if user is not None:
                    user.socket_lost(code)
                self._notify_application(code, reason)
            self._finish()

    def surplus_received(self) -> None:
        """Take a frame from the budget of frames. Raises WireError 1008 when it is spent."""
        now_us = time.monotonic_ns() // 1000
        verdict, self._frames_tat_us = decide(self._frames_tat_us, now_us, 1, FRAMES_RULE)
        if not verdict.allowed:
            raise WireError(POLICY_VIOLATION, "too many frames")

    def _fail(self, code: int, reason: str) -> None:
        """Close because the peer violated the protocol; what it still sends is discarded."""
        self.pending, self.fragments = b"", None
        if code == POLICY_VIOLATION and self._user is not None and not self._close_sent:
            self._user.flooded(reason)  # a connection closes with a code of its own
        if not self._close_sent:
            self._close_sent = True
            self.write(build_close(code, reason))
        user, self._user = self._user, None
        if user is not None:
            user.socket_lost(code)
        self._notify_application(code, reason)
        # Closing with unread bytes would reset the connection and the peer might never see the close frame, so the
        # rest is read and dropped until the peer leaves.
        self._discard_input = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._abort_later()

    def _finish(self) -> None:
        """Close the transport after its buffer is sent; abort it when the peer does not read."""
        if self._lost or self.transport.is_closing():
            return
        self.transport.close()
        self._abort_later()

    def _abort_later(self) -> None:
        """Abort the transport after the close timeout."""
        if self._close_timer is None:
            loop = asyncio.get_running_loop()
            self._close_timer = loop.call_later(_CLOSE_TIMEOUT_S, self.transport.abort)

    def _discard(self, data: bytes) -> None:
        """Discard what a peer sends after a violation, one read per turn; abort when it is too much."""
        self._discarded_bytes += len(data)
        if self._discarded_bytes > DISCARDED_BYTES_MAX:
            self.transport.abort()
        elif data:
            self._continue_next_turn()

    def _continue_next_turn(self) -> None:
        """Stop reading for this turn of the event loop; `_parse_pending` runs in the next one."""
        if not self._lost and not self.transport.is_closing():
            self.transport.pause_reading()
            self._schedule_parse()

    def _schedule_parse(self) -> None:
        if not self._parse_scheduled:
            self._parse_scheduled = True
            asyncio.get_running_loop().call_soon(self._parse_pending)

    def _parse_pending(self) -> None:
        """Parse what an earlier turn or a pause left; read from the network again when nothing is left."""
        self._parse_scheduled = False
        if self._lost or self.transport.is_closing():
            return
        self.data_received(b"")
        if self.reading and not self._parse_scheduled and not self._lost and not self.transport.is_closing():
            self.transport.resume_reading()

    # Handshake and ASGI.

    def _receive_handshake(self, handshake: _Handshake, data: bytes) -> None:
        """Check the request; start the application when it is a valid websocket handshake."""
        if handshake.response is not None:
            return  # the client has to wait for the answer
        request = _read_request(data)
        if request is None:
            self._refuse(MethodNotAllowed("A websocket is opened with GET"))
            return
        origin = request.headers.get_all("Origin")
        handshake.response = handshake.protocol.accept(request)
        if handshake.response.status_code != 101:
            why = (handshake.response.body or b"").decode(errors="replace").strip()
            self._refuse(InvalidInput(why or "This is not a websocket handshake"), ", ".join(origin))
            return
        self.pause_reading()  # no message may be parsed before the answer
        self._inbox = _Inbox()
        self._put({"type": "websocket.connect"})
        scope = self._scope(handshake, request)
        task = asyncio.get_running_loop().create_task(self._run(handshake.config.loaded_app, scope))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    def _scope(self, handshake: _Handshake, request: Request) -> Scope:
        path, _, query = request.path.partition("?")
        root = handshake.config.root_path
        offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
        return {
            "type": "websocket",
            "asgi": {"version": handshake.config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(self.transport) else "ws",
            "server": get_local_addr(self.transport),
            "client": get_remote_addr(self.transport),
            "root_path": root,
            "path": root + unquote(path),
            "raw_path": (root + path).encode(),
            "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in request.headers.raw_items()],
            "subprotocols": [word.strip() for word in offered.split(",") if word.strip()],
            "state": handshake.app_state.copy(),
            "extensions": {EXTENSION: {"socket": self}, _DENIAL: {}},
        }

    async def _run(self, app: Any, scope: Scope) -> None:  # noqa: ANN401 - uvicorn's own type is private
        """Run the application; when it returns without an attached user, the socket is closed."""
        try:
            await app(scope, self._receive, self._send)
        except ClientDisconnected:
            pass
        except Exception:  # noqa: BLE001 - whatever an application raises
            _log.exception("the application failed on a websocket")
            if self._handshake is None:
                self._user = None
                self.close(1011, "internal error")
        if self._handshake is not None:
            self._refuse(Internal())
        elif self._user is None:
            self.close(1000, "")

    async def _receive(self) -> Message:
        inbox = self._inbox
        if inbox is None:
            return {"type": "websocket.disconnect", "code": ABNORMAL, "reason": ""}
        while not inbox.events:
            inbox.waiter = asyncio.get_running_loop().create_future()
            await inbox.waiter
        event = inbox.events.popleft()
        if not inbox.events and self._handshake is None:
            self.resume_reading()
        return event

    async def _send(self, message: Message) -> None:
        if self._inbox is not None and self._inbox.writable is not None:
            await self._inbox.writable
        if self._lost:
            raise ClientDisconnected
        kind = message["type"]
        if self._handshake is not None:
            self._answer_handshake(self._handshake, kind, message)
        elif kind == "websocket.send":
            if not self._close_sent:
                text = message.get("text")
                payload, opcode = (message["bytes"], BINARY) if text is None else (text.encode(), TEXT)
                self.write(build_frame(payload, opcode))
        elif kind == "websocket.close":
            self.close(message.get("code", 1000), message.get("reason") or "")
        else:
            raise RuntimeError(f"unexpected ASGI message {kind}")

    def _answer_handshake(self, handshake: _Handshake, kind: str, message: Message) -> None:
        response = handshake.response
        assert response is not None
        if kind == "websocket.close":
            self._refuse(NotAllowed(message.get("reason") or "There is no websocket at this address"))
            return
        if kind.startswith(_DENIAL):
            self._deny(handshake, kind, message)
            return
        if kind != "websocket.accept":
            raise RuntimeError(f"unexpected ASGI message {kind} before accept")
        if message.get("subprotocol"):
            response.headers["Sec-WebSocket-Protocol"] = message["subprotocol"]
        for name, value in message.get("headers", ()):
            response.headers[name.decode("latin-1")] = value.decode("latin-1")
        handshake.protocol.send_response(response)
        self._handshake = None
        self.write(handshake.end())
        self.resume_reading()

    def _deny(self, handshake: _Handshake, kind: str, message: Message) -> None:
        """Refuse with the application's own response: a status and headers first, then one body."""
        if kind == f"{_DENIAL}.start" and handshake.denial is None:
            fields = ((k.decode("latin-1"), v.decode("latin-1")) for k, v in message.get("headers", ()))
            status = message["status"]
            handshake.denial = Response(status, http.HTTPStatus(status).phrase, Headers(list(fields)))
        elif kind == f"{_DENIAL}.body" and handshake.denial is not None and not message.get("more_body"):
            denial = handshake.denial
            denial.body = message.get("body", b"")
            denial.headers["Content-Length"] = str(len(denial.body))
            self._send_response(handshake, denial)
        else:
            raise RuntimeError(f"unexpected ASGI message {kind}")

    def _refuse(self, refusal: Refusal, origin: str = "") -> None:
        """Answer the handshake with a problem document and close."""
        if self._handshake is not None:
            status, headers, body = refuse_with(refusal, origin)
            fields = [(name.decode(), value.decode()) for name, value in headers]
            response = Response(status, http.HTTPStatus(status).phrase, Headers(fields), body)
            self._send_response(self._handshake, response)

    def _send_response(self, handshake: _Handshake, response: Response) -> None:
        """Answer with an HTTP error and close."""
        if self._lost or self.transport.is_closing():
            return
        handshake.protocol.send_response(response)
        self.write(handshake.end())
        self._notify_application(ABNORMAL, "")
        self._finish()

    def _put(self, event: Message) -> None:
        """Queue an event for ASGI `receive`."""
        inbox = self._inbox
        if inbox is None:
            return
        inbox.events.append(event)
        waiter, inbox.waiter = inbox.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _notify_application(self, code: int, reason: str) -> None:
        """Tell an ASGI application that the socket is gone, and release a waiting `send`."""
        inbox = self._inbox
        if inbox is None:
            return
        if inbox.writable is not None and not inbox.writable.done():
            inbox.writable.set_result(None)
            inbox.writable = None
        self._put({"type": "websocket.disconnect", "code": code, "reason": reason})
