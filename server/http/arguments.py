"""A request's path, query, body and headers into the one command struct of its route.

GET and DELETE read their fields from the query, the others from a JSON body; an upload is a body taken as it is. Path
parameters are fields too. What is said twice must be said the same: a body that contradicts the path or a header is
refused.
"""

import re
from collections.abc import Callable
from typing import Any, get_type_hints
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from msgspec import Struct

from handlers.contract import Caller, Permission, Route, Upload
from protocols.errors import Stale, UnsupportedMediaType
from server.commands.decoding import DATA_BYTES_MAX, convert_text, decode_object, invalid
from server.commands.table import Command
from server.http.exchange import Incoming
from server.http.shares import Shares

QUERY_BYTES_MAX = 8 * 1024
"""Longer query strings are refused before they are parsed."""

QUERY_FIELDS_MAX = 64

UPLOAD_TIMEOUT_S = 120.0
"""How long an upload may take to arrive: ten megabytes at 700 kbit/s."""

UPLOADS_MAX = 16
"""Uploads one process holds in memory at a time; more are refused for the moment."""

DEVICE_COOKIE = "mnbara_device"
"""The cookie in which browsers keep and show `device_token`."""

UPLOADS_PER_CALLER_MAX = 3
"""Uploads of one account, or of one network without one, at a time: the others find room."""

UPLOAD_RATE_MIN = 32 * 1024
"""Bytes a second that an upload brings at least, after its first ten seconds: a place is not held for nothing."""

LENIENT_BYTES_MAX = 16 * 1024
"""Larger bodies are read strictly, whatever the client prefers."""

_CONTENT_TYPE = re.compile(r'application/json(\s*;\s*charset="?utf-8"?)?', re.IGNORECASE)
_COOKIE = re.compile(rf"(?:^|;)[ \t]*{DEVICE_COOKIE}=([\w.-]{{1,256}})[ \t]*(?:;|$)", re.ASCII)
_QUOTED = re.compile(r'"([\x21\x23-\x7e]*)"')

HEADER_FIELDS = {
    "key": "Idempotency-Key",
    "if_match": "If-Match",
    "stripe_signature": "Stripe-Signature",
}
"""Fields of commands that REST carries in a header."""


def path_fields(route: Route) -> list[str]:
    """Return the names of a route's path parameters, in order."""
    return re.findall(r"\{(\w+)\}", route.path)


def reads_query(route: Route) -> bool:
    """Whether the fields of a route come from the query string rather than from a body."""
    return route.method in {"GET", "DELETE"}


def reads_token(route: Route) -> bool:
    """Whether a route looks at the access token; signing in and refreshing begin with an old one or none."""
    return route.permission is not Permission.ANYONE or route.rpc


def sets_device(route: Route) -> bool:
    """Whether a route answers what a browser shows at later sign-ins."""
    return "device_token" in getattr(route.reply, "__struct_fields__", ())


class Arguments:
    """Reads the command of one route."""

    def __init__(self, command: Command) -> None:
        """Learn the fields of the route's command. Raises RuntimeError for a path that names no field."""
        route = command.route
        self._decoder = command.decoder
        self._upload = route.upload
        self._uploads = Shares("uploads")
        self._from_query = reads_query(route)
        fields = {f.encode_name: f.type for f in msgspec.structs.fields(route.command)}
        hints = get_type_hints(route.command, include_extras=True)
        self._path: dict[str, Any] = {}
        for name in path_fields(route):
            if name not in fields:
                raise RuntimeError(f"{route.name}: the path names {name}, its command has no such field")
            self._path[name] = hints.get(name, fields[name])
        self._headers = [name for name in HEADER_FIELDS if name in fields]
        self._takes_device = "device_token" in fields
        self._query_names = frozenset(fields) - frozenset(self._path) - frozenset(HEADER_FIELDS)
        taken = sorted(self._query_names) if self._from_query else []
        self._no_such_parameter = (
            f"There is no such query parameter; choose {', '.join(taken)}"
            if taken
            else "There is no such query parameter: none is taken here"
        )

    async def read(self, request: Incoming, caller: Caller) -> Struct:
        """Return the command. Raises InvalidInput, PayloadTooLarge, RequestTimeout, UnsupportedMediaType, Stale.

        For an upload also RateLimited and TemporarilyUnavailable.
        """
        values: dict[str, Any] = self._read_query(request)
        if not self._from_query:
            values = await self._read_body(request, caller)
        given = request.path_values
        for name, kind in self._path.items():
            _merge(values, name, convert_text(given[name], kind, f"/{name}"), "path")
        for name in self._headers:
            value = _READERS[name](request)
            if value is not None:
                _merge(values, name, value, "header")
        if self._takes_device and values.get("device_token", "") == "":
            values["device_token"] = read_device(request)
        return self._decoder.convert(values, strict=not self._from_query)

    def _read_query(self, request: Incoming) -> dict[str, Any]:
        if not request.query:
            return {}
        values: dict[str, Any] = {}
        for name, text in parse_query(request.query):
            if name not in self._query_names or not self._from_query:
                raise invalid(self._no_such_parameter, f"/{name}")
            if name in values:
                raise invalid("A query parameter may come once", f"/{name}")
            values[name] = text
        return values

    async def _read_body(self, request: Incoming, caller: Caller) -> dict[str, Any]:
        if self._upload is not None:
            return await self._read_upload(request, caller, self._upload)
        data = await request.body()
        if data and not _CONTENT_TYPE.fullmatch(request.header(b"content-type")):
            raise UnsupportedMediaType("Send `application/json`")
        if request.header(b"content-encoding").lower() not in {"", "identity"}:
            raise UnsupportedMediaType("Send the body as it is: no content coding is taken")
        values = decode_object(data)
        if len(data) > LENIENT_BYTES_MAX or not prefers_lenient(request):
            return values
        request.answer_headers.append((b"preference-applied", b"handling=lenient"))
        return self._decoder.without_unknown(values)

    async def _read_upload(self, request: Incoming, caller: Caller, upload: Upload) -> dict[str, Any]:
        media_type = request.header(b"content-type").partition(";")[0].strip().lower()
        if media_type not in (*upload.media_types, *upload.also):
            raise UnsupportedMediaType(f"Send {', '.join(upload.media_types)}")
        if upload.bytes_max <= DATA_BYTES_MAX:  # as any other body, it takes no place of the large ones
            return {"content": await request.body(upload.bytes_max)}
        with self._uploads.one_of(caller, UPLOADS_MAX, UPLOADS_PER_CALLER_MAX):
            return {"content": await request.body(upload.bytes_max, UPLOAD_TIMEOUT_S, UPLOAD_RATE_MIN)}


def parse_query(query: bytes) -> list[tuple[str, str]]:
    """Return the pairs of a query string. Raises InvalidInput when it is too long or not UTF-8."""
    if len(query) > QUERY_BYTES_MAX:
        raise invalid(f"A query string may have {QUERY_BYTES_MAX} bytes")
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=QUERY_FIELDS_MAX
        )
    except ValueError:
        raise invalid("The query string is not valid") from None
    for name, text in pairs:
        if "\x00" in text:
            raise invalid("Text may not contain the character U+0000", f"/{name}")
    return pairs


def prefers_lenient(request: Incoming) -> bool:
    """Whether the client wants unknown members ignored. Source: RFC 7240 section 4.4; the first preference counts."""
    if b"prefer" not in request.headers:
        return False
    texts = [value.decode("latin-1") for name, value in request.scope["headers"] if name == b"prefer"]
    for preference in ",".join(texts).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "handling":
            return value.strip().strip('"').lower() == "lenient"
    return False


def read_key(request: Incoming) -> str | None:
    """Return the idempotency key of the header, bare or quoted (the IETF draft's form); None without one."""
    text = request.header(b"idempotency-key")
    if not text:
        return None
    quoted = _QUOTED.fullmatch(text)
    return quoted[1] if quoted else text


def read_device(request: Incoming) -> str:
    """Return what a browser shows of its sign-ins; "" without the cookie, or when it is nothing of ours."""
    found = _COOKIE.search(request.header(b"cookie"))
    return "" if found is None else found[1]


def read_if_match(request: Incoming) -> int | None:
    """Return the version an If-Match names; None without one or for `*`.

    Raises: Stale for a tag that no version of ours has, InvalidInput for what is no tag.
    """
    text = request.header(b"if-match")
    if not text or text == "*":
        return None
    if text.startswith("W/"):
        raise Stale("If-Match needs a strong tag")
    quoted = _QUOTED.fullmatch(text)
    if quoted is None:
        raise invalid('If-Match takes one tag in quotes, as given in ETag: "3"', "/if_match")
    if not quoted[1].isascii() or not quoted[1].isdigit() or len(quoted[1]) > 18:
        raise Stale
    return int(quoted[1])


def read_signature(request: Incoming) -> str | None:
    """Return what signs the body; None without it."""
    return request.header(b"stripe-signature") or None


_READERS: dict[str, Callable[[Incoming], str | int | None]] = {
    "key": read_key,
    "if_match": read_if_match,
    "stripe_signature": read_signature,
}


def _merge(values: dict[str, Any], name: str, value: Any, place: str) -> None:  # noqa: ANN401 - any field
    """Add a field; one that the body has too must be the same. Raises InvalidInput."""
    known = values.get(name)
    if known is not None and known not in ("", value):
        spelled = str(value) if isinstance(value, UUID) else value
        if known != spelled:
            raise invalid(f"The body and the {place} say different things", f"/{name}")
    values[name] = value
