"""HTTP/1.1 on a connection, with bounds on what a client may do before a handler sees it: uvicorn sets none.

A request's head has a size and a time; what is too large, too slow or no HTTP is answered with a problem document like
any refusal, and the connection ends. A client that keeps sending a body nobody reads any more is cut. Cost: one timer
per connection, started with each request's head. Source: FEATURES G (resource caps).
"""

import asyncio

import httptools

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

HEAD_TIMEOUT_S = 10.0
"""From the first byte of a request to the end of its head; `handshake_sniffer` waits for the first."""

LINGER_S = 2.0
"""How long what still comes is thrown away after the answer, so that the client reads the answer and not a reset."""


class BoundedHttp(StreamingHttp):
    """One connection."""

    _deadline: asyncio.TimerHandle | None = None
    _requests = 0
    _in_head = False
    _header_bytes = 0
    _unparsed_bytes = 0
    _refusal: type[Refusal] = InvalidInput
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a head."""
        super().connection_made(transport)
        self._expect(HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._expect(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; a head that does not end may not grow without end."""
        if self._refused:
            return
        requests = self._requests
        super().data_received(data)
        if self._in_head and self._requests == requests and not self._refused:
            self._unparsed_bytes += len(data)
            if self._unparsed_bytes > HEAD_BYTES_MAX:
                self._refuse(HeadTooLarge)

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
        """Take a header."""
        super().on_header(name, value)
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > HEAD_BYTES_MAX or len(self.headers) > HEADERS_MAX:
            self._break_off(HeadTooLarge)

    def on_headers_complete(self) -> None:
        """Hand the request over; the body has a time of its own, in `Incoming.body`."""
        self._in_head = False
        self._expect(None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect nothing until the next request begins."""
        self._expect(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End the connection soon when the client has more to say on a request that is answered."""
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:
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

    def _refuse(self, kind: type[Refusal]) -> None:
        """Write an answer past the application and end the connection; at once when another answer is under way."""
        self._refused = True
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(_answer(kind))
            self.transport.write_eof()
            self._expect(LINGER_S)
        else:
            self.transport.close()


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
