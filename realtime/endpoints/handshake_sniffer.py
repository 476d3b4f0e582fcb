"""A new connection until its first bytes say what it is: an ordinary websocket handshake, or anything else.

The first becomes a connection of the hub without HTTP parser, application or task, once it is its turn. Everything
else, and every handshake that is to be refused for good, goes to the HTTP protocol as if that had been there from the
beginning. Until it has spoken a connection is a few words of memory and a place on the wheel. Source: decision 0044.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from uvicorn.server import ServerState

from realtime.endpoints.socket_endpoint import SocketEndpoint
from realtime.transport.fast_handshake import Upgrade, accept_upgrade, read_upgrade
from realtime.transport.streams import refuse_upgrade
from realtime.transport.websocket import LeanWebSocket

SILENT_S = 10.0
"""How long a connection may take to say its first word."""


LEAVING_S = 0.25
"""How much of that is left to those who came just before the server stops: their first word may be on its way."""


class HandshakeSniffer(asyncio.Protocol):
    """One connection that has not said what it wants."""

    __slots__ = ("_data", "_endpoint", "_make_http", "_peer", "_state", "_upgrade", "slot", "transport")

    def __init__(
        self,
        endpoint: SocketEndpoint,
        state: ServerState,
        make_http: Callable[[], asyncio.Protocol],
        peer: str,
    ) -> None:
        """Expect a client at the address `peer`."""
        self._endpoint, self._state, self._make_http, self._peer = endpoint, state, make_http, peer
        self._data = b""
        self._upgrade: Upgrade | None = None
        self.slot = -1
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first word, not for long."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._state.connections.add(self)  # type: ignore[arg-type]
        self._endpoint.hub.wheel.schedule(self, SILENT_S)

    def data_received(self, data: bytes) -> None:
        """Line up when it is a handshake as they all are; else let HTTP see to it."""
        upgrade = read_upgrade(data)
        self._data = data
        if upgrade is None or not self._endpoint.origin_allowed(upgrade.origin, upgrade.host):
            self._leave_to_http()
            return
        self._upgrade = upgrade
        self.transport.pause_reading()  # the client has to wait for our answer
        self._endpoint.hub.admission.enqueue(self._enter)

    def eof_received(self) -> None:
        """Half-closed without a word, or before its answer: the transport closes."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - any loss is the same
        """Forget it."""
        self._leave()

    def due(self, now_s: float) -> float:  # noqa: ARG002 - the wheel tells everybody
        """It said nothing in time, or waits in line: that has a bound of its own."""
        if self._upgrade is None:
            self.transport.close()
        return -1.0

    def shutdown(self) -> None:
        """The server stops, which waits for those it knows of."""
        self._endpoint.hub.loop.call_later(LEAVING_S, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if self in self._state.connections:  # type: ignore[comparison-overlap]
            self.transport.close()

    def _leave(self) -> None:
        self._state.connections.discard(self)
        self._endpoint.hub.wheel.remove(self)

    def _leave_to_http(self) -> None:
        self._leave()
        http = self._make_http()
        http.connection_made(self.transport)
        self.transport.set_protocol(http)
        http.data_received(self._data)

    def _enter(self) -> None:
        """It is our turn: come in, or hear when to come again."""
        transport, upgrade = self.transport, self._upgrade
        assert upgrade is not None, "who lines up has shown a handshake"
        if transport.is_closing():
            return
        self._leave()
        refused = self._endpoint.hub.admission.check()
        if refused is not None:
            refuse_upgrade(transport, refused)
            return
        codec, subprotocol = self._endpoint.negotiate(upgrade.subprotocols, upgrade.query)
        websocket = LeanWebSocket.opened(self._state, transport)
        transport.set_protocol(websocket)
        transport.write(accept_upgrade(upgrade.key, subprotocol))
        self._endpoint.welcome(websocket, codec, upgrade.origin, self._peer)
        transport.resume_reading()
