"""ETags: a resource's version, or a digest of its answer; 304 for a reader who has it. Source: RFC 9110 section 13."""

import hashlib
import re

import msgspec

from handlers.contract import Route
from server.http.exchange import Header, Incoming, Reply

_TAGS = re.compile(r'(?:W/)?("[\x21\x23-\x7e]*")')


class _Versioned(msgspec.Struct):
    version: int
    next_price_at: str | None = None
    """The instant at which the answer changes although nothing happens: a Dutch price falls."""


_decode = msgspec.json.Decoder(_Versioned).decode


def is_tagged(route: Route) -> bool:
    """Whether readers of a route get an ETag: single resources, with a version or without."""
    return route.is_query and (route.etag or route.path.endswith("}"))


def version_tag(body: bytes) -> bytes:
    """Return the ETag of an answer with a `version`, and until when that version shows the same."""
    known = _decode(body)
    if known.next_price_at is None:
        return b'"%d"' % known.version
    return b'"%d-%b"' % (known.version, known.next_price_at.encode())


def digest_tag(body: bytes) -> bytes:
    """Return the ETag of an answer without one."""
    return b'"' + hashlib.blake2b(body, digest_size=12).hexdigest().encode() + b'"'


def answer_tagged(request: Incoming, reply: Reply, tag: bytes) -> Reply:
    """Return the reply with its tag, or 304 without a body when the reader's If-None-Match names it."""
    headers: list[Header] = [
        *reply.headers,
        (b"etag", tag),
        (b"cache-control", b"private, no-cache"),
        (b"vary", b"Authorization"),
    ]
    if has_tag(request, tag):
        return Reply(304, b"", headers)
    reply.headers = headers
    return reply


def has_tag(request: Incoming, tag: bytes) -> bool:
    """Whether the reader's If-None-Match says that they have what the tag stands for."""
    wanted = request.header(b"if-none-match") if request.scope["method"] in {"GET", "HEAD"} else ""
    return bool(wanted) and (wanted == "*" or tag.decode() in _TAGS.findall(wanted))
