"""Looks at the first bytes of a new connection: an ordinary websocket handshake, or anything else.

An ordinary handshake waits in the admission queue and becomes a connection of the hub without HTTP parser, application
or task. Everything else, and every handshake of a foreign origin, is passed to the HTTP protocol, which takes over the
transport. A silent connection costs this object and a slot of the timer wheel. Source: decision 0044.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from uvicorn.server import ServerState

from realtime.endpoints.socket_endpoint import SocketEndpoint
from realtime.transport.fast_handshake import UPGRADE_BYTES_MAX, Upgrade, accept_upgrade, read_upgrade
from realtime.transport.streams import refuse_upgrade
from realtime.transport.websocket import LeanWebSocket

SILENT_S = 10.0
"""How long a connection may take to send its first bytes."""

LEAVING_S = 0.25
"""The same when the server stops: the first bytes of new connections may be on their way."""

_HEAD_END = b"\r\n\r\n"


class HandshakeSniffer(asyncio.Protocol):
    """One connection that has sent nothing yet, or waits for the answer to its handshake."""

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
        """Wait up to `SILENT_S` for the first bytes."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._state.connections.add(self)  # type: ignore[arg-type]
        self._endpoint.hub.wheel.schedule(self, SILENT_S)

    def data_received(self, data: bytes) -> None:
        """Queue an ordinary handshake; pass anything else to HTTP.

        A hasty client's frames may be behind its handshake already: they are read once it is answered.
        """
        end = data.find(_HEAD_END, 0, UPGRADE_BYTES_MAX) + len(_HEAD_END)
        upgrade = read_upgrade(data[:end])
        if upgrade is None or not self._endpoint.origin_allowed(upgrade.origin, upgrade.host):
            self._data = data
            self._pass_to_http()
            return
        self._data = data[end:]
        self._upgrade = upgrade
        self.transport.pause_reading()  # the client has to wait for the answer
        self._endpoint.hub.admission.enqueue(self._accept)

    def eof_received(self) -> None:
        """Half-closed without a request, or before the answer: the transport closes."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - any loss is the same
        """Clean up."""
        self._detach()

    def due(self, now_s: float) -> float:  # noqa: ARG002 - the wheel passes it to all
        """Close a connection that sent nothing in time; one that waits in the admission queue stays."""
        if self._upgrade is None:
            self.transport.close()
        return -1.0

    def shutdown(self) -> None:
        """Close soon: the server stops, and waits for its connections."""
        self._endpoint.hub.loop.call_later(LEAVING_S, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if self in self._state.connections:  # type: ignore[comparison-overlap]
            self.transport.close()

    def _detach(self) -> None:
        self._state.connections.discard(self)
        self._endpoint.hub.wheel.remove(self)

    def _pass_to_http(self) -> None:
        self._detach()
        http = self._make_http()
        http.connection_made(self.transport)
        self.transport.set_protocol(http)
        http.data_received(self._data)

    def _accept(self) -> None:
        """Answer the handshake: accept it, or refuse it with 503 for now."""
        transport, upgrade = self.transport, self._upgrade
        assert upgrade is not None, "only handshakes are queued"
        if transport.is_closing():
            return
        self._detach()
        refused = self._endpoint.hub.admission.check()
        if refused is not None:
            refuse_upgrade(transport, refused)
            return
        codec, subprotocol = self._endpoint.negotiate(upgrade.subprotocols, upgrade.query)
        websocket = LeanWebSocket.opened(self._state, transport)
        transport.set_protocol(websocket)
        transport.write(accept_upgrade(upgrade.key, subprotocol))
        self._endpoint.connect_websocket(websocket, codec, upgrade.origin, self._peer)
        transport.resume_reading()
        if self._data:
            websocket.data_received(self._data)
