"""Compressed answers for clients that can: which answers, with what, at what cost (ADR-0081).

Only answers to GET that are text, large, and have no ETag: a strong tag names exact bytes, and it is what If-Match
compares. Answers of commands are never compressed: they may hold tokens. What is large is compressed in a thread, a few
at a time; when all are busy the answer goes out as it is.
"""

import asyncio
import re
import zlib
from collections.abc import Callable
from http import HTTPStatus

import brotli  # type: ignore[import-untyped]

from server.http.exchange import Header, Incoming, Reply

BYTES_MIN = 1400
"""What fits into one packet gains nothing."""

INLINE_BYTES_MAX = 24 * 1024
"""Compressed on the event loop: a fifth of a millisecond at most, what handing it to a thread would cost too."""

AT_ONCE_MAX = 2
"""Answers being compressed in threads, per process."""

_COMPRESSIBLE = re.compile(rb"(application/(json|problem\+json)|text/[a-z]+)(;|$)")
_ACCEPTED = re.compile(r"\s*([\w*!#$%&'+.^`|~-]+)\s*(?:;\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?")
_VARY: Header = (b"vary", b"Accept-Encoding")


def _brotli(body: bytes) -> bytes:
    return bytes(brotli.compress(body, quality=4))


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(5, wbits=31)
    return packer.compress(body) + packer.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {"br": _brotli, "gzip": _gzip}
"""What we can do, the better first."""


def choose_coding(accepted: str) -> str:
    """Return the coding an Accept-Encoding likes best, of equals the better one; "" to send it as it is."""
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        match = _ACCEPTED.fullmatch(part)
        if match:
            weights[match[1]] = float(match[2] or 1)
    weights.setdefault("gzip", weights.get("x-gzip", weights.get("*", 0)))
    weights.setdefault("br", weights.get("*", 0))
    best = max(CODINGS, key=lambda coding: weights[coding])
    return best if weights[best] > 0 and weights[best] >= weights.get("identity", 0) else ""


class Compressor:
    """Compresses the answers of one process."""

    def __init__(self) -> None:
        """Begin with nothing under way."""
        self._under_way = 0

    async def apply(self, request: Incoming, reply: Reply) -> None:
        """Compress the body in place when the policy and the client allow it; say what it depended on."""
        if (
            reply.status != HTTPStatus.OK
            or len(reply.body) < BYTES_MIN
            or not _COMPRESSIBLE.match(reply.media_type)
            or any(name in {b"etag", b"content-encoding"} for name, _ in reply.headers)
        ):
            return
        reply.headers.append(_VARY)
        coding = choose_coding(request.header(b"accept-encoding"))
        packed = await self._pack(reply, coding) if coding else None
        if packed is not None and len(packed) < len(reply.body):
            reply.body = packed
            reply.headers.append((b"content-encoding", coding.encode()))

    async def _pack(self, reply: Reply, coding: str) -> bytes | None:
        """Return the packed body, None when too many are being packed."""
        if reply.kept is not None and coding in reply.kept:
            return reply.kept[coding]
        if len(reply.body) <= INLINE_BYTES_MAX:
            packed = CODINGS[coding](reply.body)
        elif self._under_way >= AT_ONCE_MAX:
            return None
        else:
            self._under_way += 1
            try:
                packed = await asyncio.to_thread(CODINGS[coding], reply.body)
            finally:
                self._under_way -= 1
        if reply.kept is not None:
            reply.kept[coding] = packed
        return packed
