"""The websocket endpoint `/connection/websocket`, an ASGI application that is mounted in Litestar.

It checks the browser's origin, negotiates the format, accepts the handshake and makes the socket a connection of the
hub. With the `mnbara.socket` extension it then returns, and the connection stays open without a task. Ordinary
handshakes are answered by `realtime.endpoints.handshake_sniffer` and never reach the application.
"""

from collections.abc import Iterable, Sequence
from urllib.parse import parse_qs, urlsplit

from protocols.errors import NotAllowed, Refusal
from realtime.codecs import JSON, PROTOBUF, Codec
from realtime.connection.connection import Connection
from realtime.connection.dispatch import CommandDispatcher
from realtime.hub import Hub
from realtime.ports import ApplicationPort, ConnectRequestContext
from realtime.transport.refusals import refuse_with
from realtime.transport.sockets import EXTENSION, AsgiSocket, Receive, Scope, Send, Socket

_SUBPROTOCOLS: dict[str, Codec] = {"centrifuge-json": JSON, "centrifuge-protobuf": PROTOBUF}

_DENIAL = "websocket.http.response"
"""The ASGI extension with which an application answers a handshake by an HTTP response of its own."""


class SocketEndpoint:
    """Makes sockets connections of one hub."""

    def __init__(self, hub: Hub, application: ApplicationPort, allowed_origins: Iterable[str] = ()) -> None:
        """Allow browsers of these origins (`*`: any) beside those of the server's own host."""
        self.hub = hub
        self._dispatcher = CommandDispatcher(hub, application)
        self._origins = frozenset(origin.rstrip("/").lower() for origin in allowed_origins)

    async def serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept a websocket and make it a connection; refuse a foreign origin (HTTP 403), or for now (503)."""
        assert scope["type"] == "websocket"
        await receive()  # websocket.connect
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        host = headers.get(b"host", b"").decode("latin-1")
        if not self.origin_allowed(origin, host):
            await _refuse(scope, send, foreign(origin), origin)
            return
        if (refused := self.hub.admission.check()) is not None:
            await _refuse(scope, send, refused.refusal)
            return
        query = scope.get("query_string", b"").decode("latin-1")
        codec, subprotocol = self.negotiate(scope.get("subprotocols") or (), query)
        await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})
        peer = (scope.get("client") or ("",))[0]
        socket: Socket | None = scope.get("extensions", {}).get(EXTENSION, {}).get("socket")
        if socket is not None:
            self.connect_websocket(socket, codec, origin, peer)
            return
        plain = AsgiSocket(receive, send)
        self.connect_websocket(plain, codec, origin, peer)
        await plain.run()

    def connect_websocket(self, socket: Socket, codec: Codec, origin: str, peer: str) -> None:
        """Make an accepted websocket a connection of the hub; `peer` is the client's address."""
        self.connect(
            socket, codec, ConnectRequestContext(origin=origin, remote_ip=peer, transport="websocket")
        )

    def connect(self, socket: Socket, codec: Codec, context: ConnectRequestContext) -> Connection:
        """Make an accepted socket a connection of the hub."""
        return Connection(self.hub, self._dispatcher, socket, codec, context)

    @staticmethod
    def negotiate(offered: Sequence[str], query: str) -> tuple[Codec, str | None]:
        """Return the codec and the subprotocol to echo: the first that the client offers and we know."""
        for name in offered:
            if name in _SUBPROTOCOLS:
                return _SUBPROTOCOLS[name], name
        arguments = parse_qs(query) if query else {}
        wanted = arguments.get("format", arguments.get("cf_protocol", [""]))[0]
        return (PROTOBUF if wanted == "protobuf" else JSON), None

    def origin_allowed(self, origin: str, host: str) -> bool:
        """Whether a browser page of this origin may connect. Native apps send no Origin and are always allowed."""
        if not origin or "*" in self._origins or origin.lower() in self._origins:
            return True
        return bool(host) and urlsplit(origin).netloc.lower() == host.lower()


def foreign(origin: str) -> NotAllowed:
    """Return the refusal of a browser page of another origin."""
    return NotAllowed(
        f"Browser pages of the origin {origin[:200]!r} may not connect: the operator has not allowed it"
    )


async def _refuse(scope: Scope, send: Send, refusal: Refusal, origin: str = "") -> None:
    """Answer the handshake with the refusal if the server supports that, else with its own (403)."""
    status, headers, body = refuse_with(refusal, origin)
    if _DENIAL not in scope.get("extensions", {}):
        code, reason = (1013, "try again later") if refusal.temporary else (1008, "not allowed")
        await send({"type": "websocket.close", "code": code, "reason": reason})
        return
    kept = [header for header in headers if header[0] != b"content-length"]
    await send({"type": f"{_DENIAL}.start", "status": status, "headers": kept})
    await send({"type": f"{_DENIAL}.body", "body": body})
