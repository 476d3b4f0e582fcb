"""The routes of the route tables, one HTTP handler each."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, time
from email.utils import formatdate
from http import HTTPStatus
from time import perf_counter

import msgspec
from msgspec import Struct

from handlers.contract import Caller, Deprecation, Download
from protocols.errors import Refusal
from server.commands.errors_out import as_refusal
from server.commands.idempotency import Answer
from server.commands.pipeline import check_permission
from server.commands.table import Command, CommandTable, outcome
from server.http.arguments import DEVICE_COOKIE, Arguments, reads_token, sets_device
from server.http.callers import Callers
from server.http.conditional import answer_tagged, digest_tag, is_tagged, version_tag
from server.http.created import locator
from server.http.exchange import PLAIN_TEXT, Handler, Header, Incoming, Reply

DEVICE_KEPT_S = 400 * 86_400
"""As long as an account knows the device, and the longest that browsers keep a cookie."""


class RouteHandler:
    """Serves one route."""

    def __init__(self, command: Command, table: CommandTable, callers: Callers) -> None:
        """Prepare the reader of its arguments."""
        self._command = command
        self._table = table
        self._arguments = Arguments(command)
        route = command.route
        self._admit = callers.admit if reads_token(route) else callers.admit_anonymous
        self._charge = callers.admit_anonymous
        self._notice = [] if route.deprecated is None else deprecation_headers(route.deprecated)
        self._text = route.text
        self._versioned = route.etag and route.method in {"GET", "PATCH", "PUT"}
        self._digested = is_tagged(route) and not route.etag
        self._sets_device = sets_device(route)
        self._locate = locator(route, (other.route for other in table.commands.values()))

    async def __call__(self, request: Incoming) -> Reply:
        """Run the route's command. Raises its refusals."""
        started = perf_counter()
        if self._command.count_deprecated is not None:
            self._command.count_deprecated("rest")
            request.answer_headers += self._notice
        try:
            caller = await self._admit(request, self._command.route.cost)
            check_permission(self._command.route, caller)  # before a stranger's body is even read
            value = await self._arguments.read(request, caller)
            file = await self._file(value, caller)
            answer = None if file else await self._table.run(self._command, value, caller)
        except Exception as error:
            if self._command.route.refused_cost and isinstance(error, Refusal):
                await self._charge(request, self._command.route.refused_cost)
            refusal = as_refusal(error, request.trace_id, command=self._command.route.name)
            outcome(self._command.over_rest, refusal, started)
            if isinstance(error, Refusal):
                raise
            raise refusal from error
        self._command.over_rest.done("ok", perf_counter() - started)
        if file is not None:
            return file_reply(file)
        assert answer is not None, "what is no file was run"
        return self._reply(request, answer)

    async def _file(self, value: Struct, caller: Caller) -> Download | None:
        if self._command.route.downloads is None:
            return None
        return await self._table.download(self._command, value, caller)

    def _reply(self, request: Incoming, answer: Answer) -> Reply:
        body = b"" if answer.status == HTTPStatus.NO_CONTENT else answer.body
        reply = Reply(answer.status, body)
        if self._text:
            shown: dict[str, str] = msgspec.json.decode(body)
            reply.body, reply.media_type = shown[self._text].encode(), PLAIN_TEXT
            reply.headers.append((b"cache-control", b"no-cache"))
        if answer.replayed:
            reply.headers.append((b"idempotent-replay", b"true"))
        if self._sets_device:
            reply.headers.append(
                (b"set-cookie", device_cookie(body, is_secure=request.scope["scheme"] == "https"))
            )
        if self._locate is not None:
            reply.headers.append((b"location", self._locate(body)))
        if self._versioned:
            return answer_tagged(request, reply, version_tag(body))
        if self._digested:
            return answer_tagged(request, reply, digest_tag(body))
        return reply


def file_reply(file: Download) -> Reply:
    """Return the answer that is a file of the caller's, kept by nobody on the way."""
    headers: list[Header] = [
        (b"content-disposition", f'attachment; filename="{file.name}"'.encode()),
        (b"cache-control", b"private, no-store"),
        (b"vary", b"Authorization"),
    ]
    media_type = file.media_type.encode()
    if isinstance(file.content, bytes):
        return Reply(200, file.content, headers, media_type)
    return Reply(200, b"", headers, media_type, stream=file.content)


class _Shown(Struct):
    device_token: str


_read_shown = msgspec.json.Decoder(_Shown).decode


def device_cookie(body: bytes, *, is_secure: bool) -> bytes:
    """Return the cookie by which a browser shows at later sign-ins that it has signed in; no script can read it."""
    token = _read_shown(body).device_token
    text = f"{DEVICE_COOKIE}={token}; Path=/v1/auth; Max-Age={DEVICE_KEPT_S}; HttpOnly; SameSite=Lax"
    return (text + ("; Secure" if is_secure else "")).encode()


def deprecation_headers(deprecated: Deprecation) -> list[Header]:
    """Return what tells a client that a route will go. Source: RFC 9745 (Deprecation), RFC 8594 (Sunset)."""
    since_s, sunset_s = (
        int(datetime.combine(day, time(), UTC).timestamp()) for day in (deprecated.since, deprecated.sunset)
    )
    return [
        (b"deprecation", b"@%d" % since_s),
        (b"sunset", formatdate(sunset_s, usegmt=True).encode()),
        (b"link", b'<%b>; rel="successor-version"' % deprecated.successor.encode()),
        (b"link", b'</schema>; rel="deprecation"; type="text/html"'),
    ]


def handlers_by_path(table: CommandTable, callers: Callers) -> dict[str, Mapping[str, Handler]]:
    """Return the handlers of every route, by path and method. Raises RuntimeError when two routes share both."""
    paths: dict[str, dict[str, Handler]] = defaultdict(dict)
    for command in table.commands.values():
        route = command.route
        if route.method in paths[route.path]:
            raise RuntimeError(f"two routes serve {route.method} {route.path}")
        paths[route.path][route.method] = RouteHandler(command, table, callers)
    return dict(paths)
