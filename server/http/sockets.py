"""The realtime endpoints as routes of the web framework."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import asgi
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from protocols.errors import MethodNotAllowed
from realtime.endpoints.emulation import EMULATION_PATH, HTTP_STREAM_PATH, METHODS, SSE_PATH, Emulation
from realtime.endpoints.socket_endpoint import SocketEndpoint
from server.http.exchange import RawResponse, refusal_reply
from server.process.metrics import Metrics

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


def mount_emulation(emulation: Emulation, metrics: Metrics) -> list[ASGIRouteHandler]:
    """Return the routes for clients without a websocket: two streams, and what they send."""
    return [
        _mount(HTTP_STREAM_PATH, emulation.serve_http_stream, metrics),
        _mount(SSE_PATH, emulation.serve_sse, metrics),
        _mount(EMULATION_PATH, emulation.serve_emulation, metrics),
    ]


def _mount(path: str, served: Callable[..., Awaitable[int]], metrics: Metrics) -> ASGIRouteHandler:
    """Return a route that answers refusals as every other does, and counts."""

    @asgi(path, copy_scope=False)
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        raw: Any = scope
        if raw["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "not a websocket"})
            return
        begun = _Begun(send)
        try:
            status = await served(scope, receive, begun)
        except Exception as error:
            if begun.head:
                raise  # half an answer is out: the server cuts the connection
            reply = refusal_reply(error, raw["trace_id"], path)
            if isinstance(error, MethodNotAllowed):
                reply.headers.append((b"allow", f"{METHODS[path]}, OPTIONS".encode()))
            status = reply.status
            await RawResponse(reply)(scope, receive, send)
        method = raw["method"] if raw["method"] in METHODS[path] else "other"
        metrics.http_requests.labels(path, method, status).inc()

    return serve


class _Begun:
    """`send` that remembers whether an answer has begun."""

    __slots__ = ("_send", "head")

    def __init__(self, send: Send) -> None:
        self._send: Any = send
        self.head = False

    async def __call__(self, message: Any) -> None:  # noqa: ANN401 - ASGI messages are open dicts
        self.head = True
        await self._send(message)
