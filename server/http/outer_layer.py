"""The outermost layer of HTTP: request id, security headers, CORS, and the answer to what nobody else caught."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from litestar.types import ASGIApp, Receive, Scope, Send

from protocols.values import new_id
from server.http.exchange import METHODS, Header, refusal_reply

PREFLIGHT_KEEP_S = 600
"""How long a browser may remember a preflight answer."""

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")

_TRACE_PARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.{0,200})?"
)
"""The trace, between version and parent. Version 00 ends after the flags. Source: W3C Trace Context, section 3.2."""

ALWAYS: list[Header] = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
"""Headers of every answer."""

_UNLESS_SET: list[Header] = [
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; form-action 'none'",
    ),
]
_TRANSPORT: Header = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
_EXPOSED = (
    b"Deprecation, ETag, Idempotent-Replay, Link, Location, Preference-Applied, RateLimit, RateLimit-Policy, "
    b"Retry-After, Sunset, WWW-Authenticate, X-Request-Id"
)
_REQUEST_HEADERS = (
    b"Authorization, Channel-Token, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer, "
    b"Traceparent, X-Request-Id"
)


class Origins:
    """Which browser origins may read answers: a list, or any."""

    def __init__(self, allowed: str) -> None:
        """Read the setting: origins between commas, `*` for any, empty for none but our own."""
        names = {name.strip().rstrip("/") for name in allowed.split(",") if name.strip()}
        self._any = "*" in names
        self._names = {name.encode() for name in names}

    def headers(self, origin: bytes) -> list[Header]:
        """Return the headers an answer to that origin carries."""
        if not origin:
            return [] if self._any or not self._names else [(b"vary", b"Origin")]
        if not (self._any or origin in self._names):
            return [(b"vary", b"Origin")]
        return [
            (b"access-control-allow-origin", b"*" if self._any else origin),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"Origin"),
        ]

    def preflight(self, origin: bytes, asked: bytes) -> list[Header]:
        """Return the headers of a preflight answer; none of permission for other origins."""
        headers = self.headers(origin)
        if headers and headers[0][0] == b"access-control-allow-origin" and asked:
            headers += [
                (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE"),
                (b"access-control-allow-headers", _REQUEST_HEADERS),
                (b"access-control-max-age", b"%d" % PREFLIGHT_KEEP_S),
            ]
        return headers


def read_trace_id(traceparent: bytes) -> str:
    """Return the trace of a `traceparent` header, "" when it names none."""
    found = _TRACE_PARENT.fullmatch(traceparent)
    if found is None or (traceparent.startswith(b"00") and found[2]):
        return ""
    return found[1].decode()


class OuterLayer:
    """ASGI: HTTP requests go through it; websockets and lifespan pass by."""

    def __init__(
        self, app: ASGIApp, allowed_origins: str, *, secure: bool, leaving: Callable[[], bool] = lambda: False
    ) -> None:
        """Wrap the application; `secure` says that clients reach us over TLS, `leaving` that the process ends."""
        self._app: Any = app
        self._leaving = leaving
        self._origins = Origins(allowed_origins)
        self._always = [*ALWAYS, _TRANSPORT] if secure else ALWAYS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request: Any = scope
        if request["type"] != "http":
            await self._app(scope, receive, send)
            return
        origin = asked = given = parent = b""
        for name, value in request["headers"]:
            if name == b"origin":
                origin = value
            elif name == b"x-request-id":
                given = value
            elif name == b"traceparent":
                parent = b"several" if parent else value
            elif name == b"access-control-request-method":
                asked = value
        request["asked_method"] = request["method"]
        if request["method"] not in METHODS:
            request["method"] = "OPTIONS"  # routed like one, so that its path refuses it by naming the others
        request_id = given.decode() if _SANE_ID.fullmatch(given) else str(new_id())
        trace_id = read_trace_id(parent) or request_id
        request["trace_id"] = trace_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(trace_id=trace_id, request_id=request_id)
        preflight = request["asked_method"] == "OPTIONS" and origin and asked
        extra = self._origins.preflight(origin, asked) if preflight else self._origins.headers(origin)
        if self._leaving():
            extra = [*extra, (b"connection", b"close")]  # the next request shall find a process that stays
        finish = _Finish(send, [(b"x-request-id", request_id.encode()), *self._always, *extra])
        try:
            await self._app(scope, receive, finish)
        except Exception as error:  # noqa: BLE001 - the last place where an error is answered
            await self._last_resort(error, trace_id, finish)

    @staticmethod
    async def _last_resort(error: Exception, trace_id: str, finish: "_Finish") -> None:
        reply = refusal_reply(error, trace_id, "door")
        if finish.started:
            raise error  # half an answer is out: the server cuts the connection
        await finish(
            {
                "type": "http.response.start",
                "status": reply.status,
                "headers": [*reply.headers, (b"content-type", reply.media_type)],
            }
        )
        await finish({"type": "http.response.body", "body": reply.body})


class _Finish:
    """`send` that adds the headers every answer has."""

    __slots__ = ("_headers", "_send", "started")

    def __init__(self, send: Send, headers: Iterable[Header]) -> None:
        self._send = send
        self._headers = headers
        self.started = False

    async def __call__(self, message: Any) -> None:  # noqa: ANN401 - ASGI messages are open dicts
        if message["type"] == "http.response.start":
            self.started = True
            headers = list(message["headers"])
            names = {name for name, _ in headers}
            headers += self._headers
            headers += [header for header in _UNLESS_SET if header[0] not in names]
            message = {**message, "headers": headers}
        await self._send(message)
