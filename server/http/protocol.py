"""HTTP/1.1 on a connection, with bounds on what a client may do before a handler sees it: uvicorn sets none.

A request's head has a size and a time; what is too large, too slow or no HTTP is answered with a problem document like
any refusal, and the connection ends. A client that keeps sending a body nobody reads any more is cut. What is read is
parsed in small pieces: nothing behind a request that is not answered yet, and a bounded part in one turn of the event
loop. Cost: one timer per connection, started with each request's head.
"""

import asyncio
import string
from collections.abc import Callable

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl

from protocols.errors import HeadTooLarge, InvalidInput, Refusal, RequestTimeout, UriTooLong
from protocols.values import new_id
from realtime.transport.streams import StreamingHttp
from server.http.exchange import refusal_reply
from server.http.outer_layer import ALWAYS

URL_BYTES_MAX = 16 * 1024
"""A connect command of server-sent events travels in the URL, with its token; the rest of ours stays below 1 KiB."""

HEAD_BYTES_MAX = 32 * 1024
"""Request line and headers together."""

HEADERS_MAX = 100

TRAILER_BYTES_MAX = 8 * 1024
"""Bytes of a chunked body that bring neither content nor a chunk: extensions and trailers, which nobody reads here. The
parser adds an endless one up piece by piece, which takes quadratic time."""

HEAD_TIMEOUT_S = 10.0
"""From the first byte of a request to the end of its head; `handshake_sniffer` waits for the first."""

LINGER_S = 2.0
"""How long what still comes is thrown away after the answer, so that the client reads the answer and not a reset."""

PIECE_BYTES = 1024
"""What the parser gets at once. It cannot stop at the end of a request: as many as fit in here, some fifty at most,
wait behind the one that is served."""

_HOST_BYTES = b"!$%&'()*+,-.:;=[]_~" + (string.ascii_letters + string.digits).encode()
"""What a host and a port are written with. Source: RFC 3986 section 3.2.2."""

TURN_BYTES_MAX = 64 * 1024
"""Bytes of one connection after which the others have their turn of the event loop."""

UNREAD_S = 30.0
"""How long a client may take nothing of an answer that waits for it."""

HALF_CLOSED_S = 30.0
"""How long a client that has closed its sending side waits for the answer to its whole request."""

TURN_CHUNKS_MAX = 1024
"""Likewise, pieces of a body: a chunk of one byte costs as much as one of a KiB, about a microsecond."""


class _Flow(FlowControl):
    """uvicorn's flow control; it reads nothing new while bytes wait to be parsed."""

    def __init__(self, transport: asyncio.Transport, go_on: Callable[[], None]) -> None:
        super().__init__(transport)
        self._go_on = go_on
        self.is_holding = False
        """Bytes wait: who wants more gets those first."""

    def resume_reading(self) -> None:
        if self.is_holding:
            self._go_on()
        else:
            super().resume_reading()

    def end(self) -> None:
        """Never read again; let go of the connection, which knows us."""
        self.is_holding, self._go_on = True, _nothing


def _nothing() -> None:
    """Nobody goes on."""


class BoundedHttp(StreamingHttp):
    """One connection."""

    flow: _Flow
    _waiting = b""
    """Bytes that are not parsed yet, because their turn or an answer has to come first."""
    _position = 0
    """Where in `_waiting` parsing goes on."""
    _chunks = 0
    """Pieces of bodies in this turn."""
    _go_on_scheduled = False
    _upgrading = False
    _upgrade_waits = False
    """Requests before the handshake are not answered yet."""
    _unread: asyncio.TimerHandle | None = None
    _unread_bytes = 0
    _deadline: asyncio.TimerHandle | None = None
    _requests = 0
    _in_head = False
    _progress = 0
    """Counts chunks and pieces of bodies."""
    _header_bytes = 0
    _unparsed_bytes = 0
    _refusal: type[Refusal] = InvalidInput
    _refused = False
    _to_answer: type[Refusal] | None = None
    """A refusal that waits until the requests before it are answered."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a head."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self._schedule_go_on)
        self._expect(HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers, and what was not parsed."""
        self._expect(None)
        self._forget_reader()
        self._waiting = b""
        self.flow.end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what may be parsed now, keep the rest; of a client that was refused, throw all away."""
        if self._refused:
            self.flow.pause_reading()
            self._schedule_go_on()
            return
        self._waiting, self._position = self._waiting[self._position :] + data, 0
        self._parse_waiting()

    def _parse_waiting(self) -> None:
        """Parse until the turn is over, a request is whole or a body is more than its handler has taken."""
        waiting, position = self._waiting, self._position
        turn_end, self._chunks = position + TURN_BYTES_MAX, 0
        while position < min(len(waiting), turn_end) and self._chunks < TURN_CHUNKS_MAX:
            if self._is_blocked() or self._is_over():
                break
            self._parse(waiting[position : position + PIECE_BYTES])
            position += PIECE_BYTES
        if self._upgrading:
            self._waiting = b""  # a websocket's client waits for its answer
        elif position < len(waiting) and not self._is_over():
            self._hold(waiting, position)
        else:
            self._release()

    def _is_blocked(self) -> bool:
        """Whether the request in hand has to be answered, or its body taken, before anything else counts."""
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete and (not cycle.more_body or self._is_full())

    def _is_full(self) -> bool:
        """Whether the handler has much of the body still to take."""
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete and len(cycle.body) > HIGH_WATER_LIMIT

    def _is_over(self) -> bool:
        return self._refused or self._upgrading or self.transport.is_closing()

    def _hold(self, waiting: bytes, position: int) -> None:
        """Keep bytes for a later turn, or until the handler goes on: it calls `flow.resume_reading`."""
        self._waiting, self._position = waiting, position
        self.flow.is_holding = True
        self.flow.pause_reading()
        if not self._is_blocked():
            self._schedule_go_on()
        elif self._in_head:
            self._expect(None)  # the rest of the head may be here

    def _release(self) -> None:
        """Read on, when nothing waits; uvicorn does so itself when it has paused for a body or a pipeline."""
        self._waiting, self._position = b"", 0
        if self.flow.is_holding:
            self.flow.is_holding = False
            if not self._is_full() and not self.pipeline and not self.transport.is_closing():
                self.flow.resume_reading()

    def _schedule_go_on(self) -> None:
        if not self._go_on_scheduled:
            self._go_on_scheduled = True
            self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._go_on_scheduled = False
        if self._upgrading or self.transport.is_closing():
            return
        if self._refused:
            self._waiting, self.flow.is_holding = b"", False
            self.flow.resume_reading()
            return
        if self._in_head and self._deadline is None:
            self._expect(HEAD_TIMEOUT_S)
        self._parse_waiting()

    def _parse(self, data: bytes) -> None:
        """Parse a piece; a head that does not end may not grow without end."""
        requests, progress = self._requests, self._progress
        super().data_received(data)
        if self._refused or self._requests != requests:
            return
        if self._progress != progress:
            self._unparsed_bytes = 0
        elif self._in_head or (self.cycle is not None and self.cycle.more_body):
            self._unparsed_bytes += len(data)
            if self._unparsed_bytes > (HEAD_BYTES_MAX if self._in_head else TRAILER_BYTES_MAX):
                self._refuse(HeadTooLarge)

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the websocket, once the requests before its handshake are answered."""
        self._upgrading = True
        if self.cycle is not None and not self.cycle.response_complete:
            self._upgrade_waits = True
            return
        self._unset_keepalive_if_required()
        self.flow.end()
        super().handle_websocket_upgrade()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer a client that has sent its whole request and closes its sending side; then the connection ends.

        A stream ends at once: its client is gone, and says so in no other way.
        """
        cycle = self.cycle
        if cycle is None or cycle.response_complete or self._is_over():
            return False
        if (cycle.more_body and not self._waiting) or cycle.chunked_encoding:
            return False
        cycle.keep_alive = False
        self._expect(HALF_CLOSED_S)
        return True

    def pause_writing(self) -> None:
        """Much of an answer waits for the client to read."""
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        """The client has read much of it."""
        super().resume_writing()
        self._forget_reader()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection without a new request; also one whose client has not read the last answer."""
        super().timeout_keep_alive_handler()
        self._watch_reader()

    def _watch_reader(self) -> None:
        """Cut the connection when the client takes nothing of what waits for it for `UNREAD_S`."""
        self._unread_bytes = self.transport.get_write_buffer_size()
        if self._unread is None and self._unread_bytes:
            self._unread = self.loop.call_later(UNREAD_S, self._check_reader)

    def _check_reader(self) -> None:
        self._unread, before = None, self._unread_bytes
        if self.transport.get_write_buffer_size() >= before:
            self.transport.abort()
        else:
            self._watch_reader()

    def _forget_reader(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._requests += 1
        self._in_head, self._header_bytes, self._unparsed_bytes = True, 0, 0
        if self._deadline is None:
            self._expect(HEAD_TIMEOUT_S)

    def on_url(self, url: bytes) -> None:
        """Take a piece of the URL."""
        super().on_url(url)
        if len(self.url) > URL_BYTES_MAX:
            self._break_off(UriTooLong)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer never becomes one (RFC 9110 section 6.5.1)."""
        if not self._in_head:
            return
        super().on_header(name, value)
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > HEAD_BYTES_MAX or len(self.headers) > HEADERS_MAX:
            self._break_off(HeadTooLarge)

    def on_headers_complete(self) -> None:
        """Hand the request over; the body has a time of its own, in `Incoming.body`."""
        if not self._is_sound():
            self._break_off(InvalidInput)
        self._in_head, self._unparsed_bytes = False, 0
        self._expect(None)
        super().on_headers_complete()

    def _is_sound(self) -> bool:
        """Whether a head names one host, as HTTP/1.1 has to, and a coding we know. Source: RFC 9112 3.2 and 6.1."""
        hosts = [value for name, value in self.headers if name == b"host"]
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        least = 0 if self.parser.get_http_version() == "1.0" else 1
        if not least <= len(hosts) <= 1 or codings not in ([], [b"chunked"]):
            return False
        return not any(host.translate(None, _HOST_BYTES) for host in hosts)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._chunks += 1
        self._progress += 1
        super().on_body(body)

    def on_chunk_header(self) -> None:
        """A chunk begins."""
        self._progress += 1

    def on_chunk_complete(self) -> None:
        """A chunk ends."""
        self._progress += 1

    def on_message_complete(self) -> None:
        """Expect nothing until the next request begins."""
        self._expect(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End the connection soon when the client has more to say on a request that is answered."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._watch_reader()
        if not self.cycle.response_complete:
            return
        if self._upgrade_waits and not self.transport.is_closing():
            self._upgrade_waits = False
            self.handle_websocket_upgrade()
            return
        if self._to_answer is not None:
            self._end_with(self._to_answer)
        elif self.cycle.more_body:
            self._expect(LINGER_S)

    def send_400_response(self, msg: str) -> None:
        """Answer what the parser did not take: uvicorn's place for it."""
        del msg  # it is always the same
        self._refuse(self._refusal)

    def _break_off(self, refusal: type[Refusal]) -> None:
        """Stop the parser, which reports it as an error of the request."""
        self._refusal = refusal
        raise httptools.HttpParserError(refusal.code)

    def _expect(self, within_s: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if within_s is None else self.loop.call_later(within_s, self._give_up)

    def _give_up(self) -> None:
        self._deadline = None
        if self._in_head and not self._refused:
            self._refuse(RequestTimeout)
        else:
            self.transport.close()
            self._watch_reader()

    def _refuse(self, kind: type[Refusal]) -> None:
        """Write an answer past the application and end the connection; after the answers under way, if there are any.

        A request whose body is broken has no other answer, unless it has begun.
        """
        self._refused = True
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self._end_with(kind)
        elif self._in_head or not cycle.more_body:
            self._to_answer = kind
        elif cycle.response_started or self.pipeline:
            self.transport.close()
        else:
            cycle.disconnected = True  # what its handler answers goes nowhere
            cycle.message_event.set()
            self._end_with(kind)

    def _end_with(self, kind: type[Refusal]) -> None:
        self._to_answer = None
        if not self.transport.is_closing():
            self.transport.write(_answer(kind))
            self.transport.write_eof()
            self._expect(LINGER_S)


def _answer(kind: type[Refusal]) -> bytes:
    detail = "This is not an HTTP/1.1 request" if kind is InvalidInput else ""
    trace_id = str(new_id())
    reply = refusal_reply(kind(detail), trace_id, "connection")
    headers = [
        (b"content-type", reply.media_type),
        (b"content-length", b"%d" % len(reply.body)),
        (b"x-request-id", trace_id.encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
        *ALWAYS,
    ]
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"HTTP/1.1 %d \r\n%b\r\n%b" % (reply.status, lines, reply.body)
