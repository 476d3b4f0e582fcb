"""The realtime endpoints as a route of the web framework."""

from typing import Any

from litestar import asgi
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from realtime.endpoint import SocketEndpoint

WEBSOCKET_PATH = "/connection/websocket"


def mount_sockets(endpoint: SocketEndpoint) -> ASGIRouteHandler:
    """Return the websocket route; a plain HTTP request to it is told to upgrade."""

    @asgi(WEBSOCKET_PATH, copy_scope=False)
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        raw: Any = (scope, receive, send)  # the framework's types of ASGI and ours differ in name only
        if raw[0]["type"] == "websocket":
            await endpoint.serve_socket(*raw)
            return
        headers = [(b"upgrade", b"websocket"), (b"content-type", b"text/plain")]
        await raw[2]({"type": "http.response.start", "status": 426, "headers": headers})
        await raw[2]({"type": "http.response.body", "body": b"connect with a websocket client\n"})

    return serve
