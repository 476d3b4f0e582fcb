"""Refused handshakes: an HTTP answer that says why, as every other refusal does, and a line in the log."""

import http
import logging

from protocols.errors import Refusal
from protocols.problems import PROBLEM_MEDIA_TYPE, problem_body
from protocols.values import new_id

_log = logging.getLogger(__name__)

Header = tuple[bytes, bytes]


def refuse_with(refusal: Refusal, origin: str = "") -> tuple[int, list[Header], bytes]:
    """Return status, headers and body of the answer to a handshake, and log the reason at info.

    A refusal for now is not logged: thousands may come in a second, and `/metrics` counts them.
    """
    trace_id = str(new_id())
    body = problem_body(refusal, trace_id)
    headers = [
        (b"content-type", PROBLEM_MEDIA_TYPE),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", trace_id.encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    if refusal.temporary:
        headers.append((b"retry-after", b"%d" % int(refusal.facts.get("retry_after_s", 1))))
    else:
        _log.info("a websocket was refused: %s (origin %.200r, trace %s)", refusal.detail, origin, trace_id)
    return type(refusal).status, headers, body


def refusal_bytes(refusal: Refusal, origin: str = "") -> bytes:
    """Return the whole answer as it is sent."""
    status, headers, body = refuse_with(refusal, origin)
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, http.HTTPStatus(status).phrase.encode(), lines, body)
