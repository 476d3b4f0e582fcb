"""One HTTP exchange: what a handler reads of a request, what it returns, and the bridge to the web framework.

Handlers are `async (Incoming) -> Reply` and raise refusals; `endpoint` makes one framework route of the handlers of a
path, and sees to HEAD, OPTIONS, unknown methods, errors and metrics. Bodies are bytes in and out: nothing re-encodes.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Any

import structlog
from litestar import Request, Response, route
from litestar.enums import HttpMethod
from litestar.exceptions import ClientException, MethodNotAllowedException, NotFoundException
from litestar.response.base import ASGIResponse

from protocols.errors import (
    Fault,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RequestTimeout,
)
from protocols.problems import PROBLEM_MEDIA_TYPE, problem_body
from server.commands.decoding import DATA_BYTES_MAX, invalid
from server.commands.errors_out import as_refusal, cause_of
from server.process.metrics import Metrics

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler
    from litestar.types import Receive, Scope, Send

JSON = b"application/json"
PLAIN_TEXT = b"text/plain; charset=utf-8"

_log = structlog.get_logger()

BODY_TIMEOUT_S = 10.0
"""A body that is not there by then ties up nothing longer."""

_SINGLE = frozenset(
    {
        b"authorization",
        b"channel-token",
        b"content-length",
        b"content-type",
        b"idempotency-key",
        b"if-match",
        b"x-request-id",
    }
)
"""Headers that mean nothing when they come twice."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""What the framework routes."""

Header = tuple[bytes, bytes]


@dataclass(slots=True)
class Reply:
    """An answer: status, bytes, headers beside the ones every answer has."""

    status: int = 200
    body: bytes = b""
    headers: list[Header] = field(default_factory=list)
    media_type: bytes = JSON
    kept: dict[str, bytes] | None = None
    """Of a body that never changes: its packed forms by coding, kept from answer to answer."""
    stream: AsyncIterator[bytes] | None = None
    """Sent piece by piece instead of `body`, as fast as the client reads."""


class Incoming:
    """A request, read as far as asked."""

    __slots__ = ("_receive", "answer_headers", "headers", "peer", "scope", "trace_id")

    def __init__(self, scope: "Scope", receive: "Receive") -> None:
        """Wrap an ASGI request that passed the outer door."""
        facts: Any = scope
        self.scope = facts
        self._receive = receive
        self.trace_id: str = facts["trace_id"]
        client = facts["client"]
        self.peer: str = client[0] if client else ""
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.answer_headers: list[Header] = []
        """Sent with whatever answer follows, a refusal too."""

    @property
    def method(self) -> str:
        """The method as the client wrote it, also when the framework knows no such method."""
        method: str = self.scope["asked_method"]
        return method

    @property
    def path_values(self) -> Mapping[str, str]:
        """Path parameters by name."""
        values: Mapping[str, str] = self.scope["path_params"]
        return values

    @property
    def query(self) -> bytes:
        """The raw query string."""
        text: bytes = self.scope["query_string"]
        return text

    def header(self, name: bytes) -> str:
        """Return a header's text, "" without it."""
        return self.headers.get(name, b"").decode("latin-1").strip()

    def check_headers(self) -> None:
        """Refuse a header that came twice with meanings that cannot both hold. Raises InvalidInput."""
        pairs = self.scope["headers"]
        if len(self.headers) != len(pairs):
            names = [name for name, _ in pairs if name in _SINGLE]
            if len(names) != len(set(names)):
                raise invalid("A header that may come once came twice")

    async def body(
        self, bytes_max: int = DATA_BYTES_MAX, timeout_s: float = BODY_TIMEOUT_S, rate: int = 0
    ) -> bytes:
        """Return the whole body. It may be `BODY_TIMEOUT_S` behind `rate`, in bytes a second; 0 asks for none.

        Raises: PayloadTooLarge, InvalidInput, RequestTimeout when it stalls.
        """
        announced = self.headers.get(b"content-length", b"0")
        if not announced.isdigit() or int(announced[:12]) > bytes_max:
            raise PayloadTooLarge(f"A body may have {bytes_max} bytes", maximum_bytes=bytes_max)
        try:
            async with asyncio.timeout(timeout_s) as timeout:
                return await self._read(bytes_max, timeout, rate)
        except TimeoutError:
            raise RequestTimeout("The body did not arrive in time") from None

    async def _read(self, bytes_max: int, timeout: asyncio.Timeout, rate: int) -> bytes:
        data = bytearray()
        started, end = asyncio.get_running_loop().time(), timeout.when()
        assert end is not None, "a body has a time to arrive"
        while True:
            if rate:
                timeout.reschedule(min(end, started + BODY_TIMEOUT_S + len(data) / rate))
            message: Any = await self._receive()
            if message["type"] == "http.disconnect":
                raise invalid("The body ended early")
            data += message.get("body", b"")
            if len(data) > bytes_max:
                raise PayloadTooLarge(f"A body may have {bytes_max} bytes", maximum_bytes=bytes_max)
            if not message.get("more_body", False):
                return bytes(data)

    async def disconnected(self) -> None:
        """Return when the client has gone; only for a request whose body was read or is not read."""
        while True:
            message: Any = await self._receive()
            if message["type"] == "http.disconnect":
                return


Handler = Callable[[Incoming], Awaitable[Reply]]


def refusal_reply(
    error: BaseException, trace_id: str, where: str, headers: list[Header] | None = None
) -> Reply:
    """Return the problem+json answer of any error."""
    refusal = as_refusal(error, trace_id, route=where)
    if isinstance(refusal, Fault):
        _log.warning(
            "request_unavailable", trace_id=trace_id, route=where, code=refusal.code, cause=cause_of(error)
        )
    if refusal.text is None:
        body, media_type = problem_body(refusal, trace_id), PROBLEM_MEDIA_TYPE
    else:
        body, media_type = f"{refusal.facts[refusal.text[1]]}\n".encode(), refusal.text[0].encode()
    reply = Reply(type(refusal).status, body, list(headers or ()), media_type)
    names = {name for name, _ in reply.headers}
    if reply.status == HTTPStatus.UNAUTHORIZED and b"www-authenticate" not in names:
        reply.headers.append((b"www-authenticate", b'Bearer realm="mnbara"'))
    if refusal.temporary and reply.status != HTTPStatus.INTERNAL_SERVER_ERROR:
        wait_s = int(refusal.facts.get("retry_after_s", 1))
        reply.headers.append((b"retry-after", b"%d" % wait_s))
    return reply


Finish = Callable[[Incoming, Reply], Awaitable[None]]
"""What is done to every answer of a GET before it leaves."""


def endpoint(
    path: str, handlers: Mapping[str, Handler], metrics: Metrics, finish: Finish, *, access_log: bool = False
) -> "HTTPRouteHandler":
    """Return the framework's route of one path; `handlers` by HTTP method. `access_log` logs each request."""
    served = _Served(path, handlers, metrics, finish, access_log=access_log)

    async def serve(request: Request[Any, Any, Any]) -> RawResponse:
        return RawResponse(await served.answer(Incoming(request.scope, request.receive)))

    return route(
        _typed(path), http_method=[HttpMethod(m) for m in METHODS], status_code=200, include_in_schema=False
    )(serve)


def _typed(path: str) -> str:
    """Return the framework's spelling of a path: a parameter without a type is text, we convert it."""
    return re.sub(r"\{(\w+)\}", r"{\1:str}", path)


class RawResponse(ASGIResponse):
    """The framework's response, sent as exactly the reply's bytes and headers."""

    __slots__ = ("_reply",)

    def __init__(self, reply: Reply) -> None:
        """Wrap a reply."""
        super().__init__(status_code=reply.status)
        self._reply = reply

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Send it; an answer to HEAD has the headers of GET and no body."""
        reply = self._reply
        asked: Any = scope
        headers = list(reply.headers)
        if reply.stream is not None:
            headers.append((b"content-type", reply.media_type))
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            if asked["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await _send_stream(receive, send, reply.stream)
            return
        if reply.status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
            headers.append((b"content-length", b"%d" % len(reply.body)))
        if reply.body:
            headers.append((b"content-type", reply.media_type))
        body = b"" if asked["method"] == "HEAD" else reply.body
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


async def _send_stream(receive: "Receive", send: "Send", stream: AsyncIterator[bytes]) -> None:
    """Send pieces as they come, until the client leaves.

    A piece that cannot be had breaks the connection off: half a file is no file.
    """
    leaving = asyncio.create_task(_await_disconnect(receive))
    try:
        async for piece in stream:
            if leaving.done():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    finally:
        leaving.cancel()
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _await_disconnect(receive: "Receive") -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


class FrameworkAnswer(Response[bytes]):
    """The form in which the framework's exception handlers return a reply."""

    def __init__(self, reply: Reply) -> None:
        """Wrap a reply."""
        super().__init__(b"", status_code=reply.status)
        self._reply = reply

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:  # noqa: ANN401 - the framework's many arguments
        """Return the reply's own bytes."""
        return RawResponse(self._reply)


class _Served:
    """The handlers of one path."""

    def __init__(
        self,
        path: str,
        handlers: Mapping[str, Handler],
        metrics: Metrics,
        finish: Finish,
        *,
        access_log: bool,
    ) -> None:
        self._path = path
        self._access_log = access_log
        self._finish = finish
        self._handlers = dict(handlers)
        if "GET" in handlers:
            self._handlers["HEAD"] = handlers["GET"]
        self._allow = ", ".join([*sorted(self._handlers), "OPTIONS"]).encode()
        self._metrics = metrics

    async def answer(self, request: Incoming) -> Reply:
        """Return the answer of any method: a handler's, or a refusal."""
        started = perf_counter()
        method = request.method
        handler = self._handlers.get(method)
        try:
            if handler is None:
                reply = self._without_handler(method)
            else:
                request.check_headers()
                reply = await handler(request)
                reply.headers += request.answer_headers
                if method in {"GET", "HEAD"}:
                    await self._finish(request, reply)
        except Exception as error:  # noqa: BLE001 - every error is answered
            reply = refusal_reply(error, request.trace_id, self._path, request.answer_headers)
            if isinstance(error, MethodNotAllowed):
                reply.headers.append((b"allow", self._allow))
        shown = method if method in self._handlers or method == "OPTIONS" else "other"
        seconds = perf_counter() - started
        self._metrics.http_durations.labels(shown).observe(seconds)
        self._metrics.http_requests.labels(self._path, shown, reply.status).inc()
        if self._access_log:  # the path as the table has it: what stands in a URL may be a person's
            _log.info(
                "http_request",
                method=shown,
                route=self._path,
                status=reply.status,
                bytes=len(reply.body),
                ms=round(seconds * 1000, 2),
            )
        return reply

    def _without_handler(self, method: str) -> Reply:
        if method == "OPTIONS":
            return Reply(HTTPStatus.NO_CONTENT, headers=[(b"allow", self._allow)])
        raise MethodNotAllowed


def framework_refusal(error: Exception) -> Exception:
    """Return what an error of the framework means in our catalogue."""
    if isinstance(error, NotFoundException):
        return NotFound()
    if isinstance(error, MethodNotAllowedException):
        return MethodNotAllowed()
    if isinstance(error, ClientException):
        return invalid(str(error.detail))
    return error
