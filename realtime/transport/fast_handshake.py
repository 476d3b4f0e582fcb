"""The ordinary websocket handshake, read by one regular expression; all others are left to the full parsers.

Two HTTP parsers and an application are nine tenths of the cost of a handshake, for a request that is nearly always the
same. `read_upgrade` recognises that request only. It refuses nothing: what it does not recognise goes to the parsers,
which alone decide what is wrong with a handshake. Source: RFC 6455 section 4.2; decision 0044.
"""

import base64
import hashlib
import re
from typing import NamedTuple

UPGRADE_BYTES_MAX = 4096
"""Longer handshakes, from browsers with many cookies, are left to the parsers."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_REQUEST = re.compile(
    rb"GET /connection/websocket(?:\?(?P<query>[!-~]*))? HTTP/1\.1\r\n"
    rb"(?P<fields>(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ -~]*\r\n){4,64})\r\n"
)
_FIELD = re.compile(rb"([^:\r\n]+): ?([^\r\n]*)\r\n")
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
_SUBPROTOCOLS = re.compile(rb"[A-Za-z0-9.-]+(?:, ?[A-Za-z0-9.-]+)*")

_HOST = re.compile(rb"[!$%&'()*+,\-.:;=\[\]_~0-9A-Za-z]+")
"""What a host and a port are written with: the HTTP parser refuses others. Source: RFC 3986 section 3.2.2."""

_CONNECTION = frozenset({b"upgrade", b"keep-alive, upgrade"})
_UNUSUAL = frozenset(
    {b"content-length", b"transfer-encoding", b"expect", b"x-forwarded-for", b"x-forwarded-proto"}
)
"""Headers of requests with a body, and of proxies that name their client (decision 7)."""


class Upgrade(NamedTuple):
    """The fields of a handshake."""

    key: bytes
    host: str
    origin: str
    subprotocols: tuple[str, ...]
    query: str


def read_upgrade(data: bytes) -> Upgrade | None:
    """Return the fields of a complete, ordinary handshake for the websocket endpoint; None for everything else."""
    if len(data) > UPGRADE_BYTES_MAX:
        return None
    request = _REQUEST.fullmatch(data)
    if request is None:
        return None
    lines: list[tuple[bytes, bytes]] = _FIELD.findall(request["fields"])
    fields = {name.lower(): value for name, value in lines}
    key, offered = fields.get(b"sec-websocket-key", b""), fields.get(b"sec-websocket-protocol")
    if (
        len(fields) < len(lines)
        or not _HOST.fullmatch(fields.get(b"host", b""))
        or fields.get(b"upgrade", b"").lower() != b"websocket"
        or fields.get(b"connection", b"").lower() not in _CONNECTION
        or fields.get(b"sec-websocket-version") != b"13"
        or not _KEY.fullmatch(key)
        or (offered is not None and not _SUBPROTOCOLS.fullmatch(offered))
        or not _UNUSUAL.isdisjoint(fields)
    ):
        return None
    return Upgrade(
        key,
        fields[b"host"].decode(),
        fields.get(b"origin", b"").decode(),
        tuple(offered.decode().replace(" ", "").split(",")) if offered else (),
        (request["query"] or b"").decode(),
    )


def accept_upgrade(key: bytes, subprotocol: str | None) -> bytes:
    """Return the HTTP answer that accepts the handshake."""
    proof = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    chosen = b"Sec-WebSocket-Protocol: %b\r\n" % subprotocol.encode() if subprotocol else b""
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n%b\r\n" % (proof, chosen)
    )
