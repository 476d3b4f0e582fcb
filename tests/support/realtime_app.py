"""The realtime core on a real socket: uvicorn, the lean websocket class, an in-process bus, log and application."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial

import uvicorn
from litestar import Litestar, Response, asgi
from litestar.types import Receive, Scope, Send

from protocols.control import CONTROL_CHANNEL, Control, encode_controls
from protocols.errors import Refusal
from realtime.control import Controls
from realtime.endpoints.emulation import EMULATION_PATH, HTTP_STREAM_PATH, SSE_PATH, Emulation, new_node
from realtime.endpoints.handshake_sniffer import HandshakeSniffer
from realtime.endpoints.socket_endpoint import SocketEndpoint
from realtime.hub import Hub
from realtime.limits import Limits
from realtime.ports import (
    ChannelRule,
    ConnectRequestContext,
    Deliver,
    DisconnectError,
    Entry,
    Identity,
    Lane,
    OffsetReport,
    ProtocolError,
)
from realtime.transport.streams import StreamingHttp
from realtime.transport.websocket import LeanWebSocket
from server.http.protocol import BoundedHttp
from tests.support.presence import MemoryPresence


class MemoryLog:
    """History and current values in memory; can be made to fail, and counts what it is asked."""

    epoch = "e1"

    def __init__(self):
        self.streams: dict[str, list[Entry]] = {}
        self.values: dict[str, dict[str, Entry]] = {}
        self.archived: dict[str, int] = {}
        self.failing = False
        self.delay_s = 0.0
        self.calls: dict[str, int] = {}

    async def _asked(self, what: str) -> None:
        self.calls[what] = self.calls.get(what, 0) + 1
        await asyncio.sleep(self.delay_s)
        if self.failing:
            raise ConnectionError("log is away")

    async def heads(self, channels: Sequence[str]) -> dict[str, int]:
        await self._asked("heads")
        return {name: len(self.streams.get(name, ())) for name in channels}

    async def read(self, channel: str, after: int, limit: int) -> list[Entry]:
        await self._asked("read")
        after = max(after, self.archived.get(channel, 0))
        return self.streams.get(channel, [])[after : after + limit]

    async def read_backward(self, channel: str, before: int, limit: int) -> list[Entry]:
        await self._asked("read_backward")
        stream = self.streams.get(channel, [])
        end = min(max(before - 1, 0), len(stream))
        first = max(0, end - limit, self.archived.get(channel, 0))
        return stream[first:end][::-1]

    async def newest(self, channel: str) -> list[Entry]:
        await self._asked("newest")
        return list(self.values.get(channel, {}).values())

    def append(self, channel: str, data: bytes, tags: dict | None = None, info: bytes = b"") -> Entry:
        stream = self.streams.setdefault(channel, [])
        entry = Entry(len(stream) + 1, data, time.time_ns() // 1_000_000, "", tags, info)
        stream.append(entry)
        return entry


class MemoryBus:
    """Delivers at once to its one process; `deliver` is there for tests that lose or shuffle."""

    def __init__(self):
        self.deliver: Deliver | None = None
        self.on_reconnected: Callable[[], None] | None = None
        self.subscribed: set[str] = set()
        self.delay_s = 0.0
        self.failing = False
        self.silent = False

    def is_silent(self) -> bool:
        return self.silent

    async def start(self, deliver: Deliver, on_reconnected: Callable[[], None]) -> None:
        self.deliver, self.on_reconnected = deliver, on_reconnected

    async def subscribe(self, channels: Sequence[str]) -> None:
        await asyncio.sleep(self.delay_s)
        if self.failing:
            raise ConnectionError("bus is away")
        self.subscribed.update(channels)

    def unsubscribe(self, channel: str) -> None:
        self.subscribed.discard(channel)

    def publish(self, publications: Sequence[tuple[str, Sequence[Entry]]]) -> None:
        for channel, entries in publications:
            if channel in self.subscribed:
                self.deliver(channel, entries)

    async def close(self) -> None:
        self.subscribed.clear()


ROOM_RULE = ChannelRule(
    Lane.REPLAYED,
    publish=True,
    presence=True,
    join_leave=True,
    delta=True,
    tags_filter=True,
    compaction=True,
)


class SmallApplication:
    """Tokens `user:session[:seconds to live]`; channels by prefix: auctions, personal, ticker, cells, rooms, secret.

    In rooms everything is allowed; a token `ttl=seconds` makes the subscription expire.
    """

    def __init__(self):
        self.waiting: list[asyncio.Future[bytes]] = []
        self.calls: list[tuple[str, str, bytes]] = []
        self.over: set[str] = set()
        self.needs_io = False
        """`recognise` knows no token: every connect has to wait for `authenticate`."""
        self.published: list[tuple[str, bytes, bytes]] = []

    def recognise(self, token: str, context: ConnectRequestContext) -> Identity | None:
        return None if self.needs_io else self._identify(token)

    async def authenticate(self, token: str, context: ConnectRequestContext) -> Identity:
        await asyncio.sleep(0)
        return self._identify(token)

    @staticmethod
    def _identify(token: str) -> Identity:
        if not token:
            return Identity()
        if token == "expired":
            raise ProtocolError(109, "token expired")
        if token.count(":") not in {1, 2}:
            raise DisconnectError(3500, "invalid token")
        user, session, *rest = token.split(":")
        return Identity(user, session, frozenset(), int(time.time()) + int(rest[0]) if rest else 0)

    def confirm(self, identity: Identity) -> None:
        if identity.session in self.over:
            raise DisconnectError(3500, "invalid token")

    async def authorize(self, identity: Identity, channel: str, token: str = "") -> ChannelRule:
        kind = channel.partition(":")[0]
        if kind == "rooms":
            ttl_s = int(token.removeprefix("ttl=") or 0)
            return replace(ROOM_RULE, expires_at_s=int(time.time()) + ttl_s if ttl_s else 0)
        if kind in {"auctions", "personal"}:
            return ChannelRule(Lane.REPLAYED)
        if kind == "lively":
            return ChannelRule(Lane.REPLAYED, ping_s=5.0)
        if kind == "ticker":
            return ChannelRule(Lane.LATEST, 100)
        if kind == "cells":
            return ChannelRule(Lane.LATEST)
        if kind == "secret":
            raise ProtocolError(103, "permission denied")
        raise ProtocolError(102, "unknown channel")

    async def publish(self, identity: Identity, channel: str, data: bytes, info: bytes) -> None:
        self.published.append((channel, data, info))

    def personal_channels(self, identity: Identity) -> list[tuple[str, ChannelRule]]:
        return [(f"personal:#{identity.user}", ChannelRule(Lane.REPLAYED))] if identity.user else []

    def call(self, identity: Identity, method: str, data: bytes):
        self.calls.append((identity.user, method, data))
        if method == "echo":
            return data
        if method == "later":
            answer = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(0.02, answer.set_result, data)
            return answer
        if method == "never":
            answer = asyncio.get_running_loop().create_future()
            self.waiting.append(answer)
            return answer
        if method == "refuse":
            raise ProtocolError(602, "bid_too_low: too low", temporary=False)
        if method == "busy":
            raise ProtocolError(411, "rate_limited: wait", temporary=True)
        if method in {"refuse.reply", "busy.reply"}:
            number = 602 if method == "refuse.reply" else 411
            raise ProtocolError(number, "in words", reply=b'{"refusal":{"minimum_bid":1250}}')
        if method == "break":
            raise ZeroDivisionError
        if method == "big":
            return json.dumps("x" * int(data)).encode()
        raise ProtocolError(104, "method not found")


class MemoryOffsetReports:
    """How far clients have got, as the store of all processes keeps it."""

    def __init__(self):
        self.offsets: dict[tuple[str, str], int] = {}
        self.batches: list[int] = []
        self.failing = False

    async def apply(self, changes: Sequence[OffsetReport]) -> None:
        if self.failing:
            raise ConnectionError("reports are away")
        self.batches.append(len(changes))
        for change in changes:
            self.offsets.pop((change.channel, change.client), None)
            if change.offset >= 0:
                self.offsets[change.channel, change.client] = change.offset


class MemoryMailbox:
    """Joins the emulations of one test: two apps that share it are two processes."""

    def __init__(self):
        self.nodes: dict[str, Callable[[str, bytes], None]] = {}

    async def send(self, node: str, session: str, data: bytes) -> bool:
        await asyncio.sleep(0)
        if node in self.nodes:
            self.nodes[node](session, data)
        return node in self.nodes


class App:
    """What a test works with."""

    def __init__(self, limits: Limits | None = None):
        self.bus, self.log, self.application = MemoryBus(), MemoryLog(), SmallApplication()
        self.presence = MemoryPresence()
        self.offset_reports = MemoryOffsetReports()
        # tests share their event loop and a busy machine with the server: lateness is judged where it is the subject
        limits = limits or Limits()
        if limits.lag_max_s == Limits().lag_max_s:
            limits = replace(limits, lag_max_s=60)
        self.hub = Hub(self.bus, self.log, limits, self.presence, self.offset_reports)
        Controls(self.hub, self.application)
        self.endpoint = SocketEndpoint(self.hub, self.application, ["https://friend.example"])
        self.mailbox = MemoryMailbox()
        self.emulation = Emulation(self.endpoint, self.mailbox, new_node())
        self.mailbox.nodes[self.emulation.node] = self.emulation.deliver
        self.port = 0

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/connection/websocket"

    def commit(self, channel: str, *texts: str | bytes) -> None:
        """Append to the log and publish as one commit."""
        data = [text.encode() if isinstance(text, str) else text for text in texts]
        self.bus.publish([(channel, [self.log.append(channel, one) for one in data])])

    def commit_tagged(self, channel: str, *items: tuple[str, dict[str, str]]) -> None:
        """Like `commit`, of texts with their tags."""
        entries = [self.log.append(channel, text.encode(), tags) for text, tags in items]
        self.bus.publish([(channel, entries)])

    def show(self, channel: str, number: int, text: str, key: str = "") -> None:
        """Make a newest value and publish it."""
        entry = Entry(number, text.encode(), time.time_ns() // 1_000_000, key)
        self.log.values.setdefault(channel, {})[key] = entry
        self.bus.publish([(channel, [entry])])

    def control(self, *controls: Control) -> None:
        """Tell every process, as the outcome of a command would."""
        self.bus.publish([(CONTROL_CHANNEL, [Entry(0, encode_controls(controls), 0)])])

    def litestar(self) -> Litestar:
        return Litestar(
            routes(self.endpoint, self.emulation),
            exception_handlers=REFUSALS,
            openapi_config=None,
            logging_config=None,
        )


REFUSALS = {Refusal: lambda _, error: Response(error.code, status_code=error.status)}


def routes(endpoint, emulation) -> list:
    """The routes of all transports."""

    def mount(path, serve):
        @asgi(path, copy_scope=False)
        async def serving(scope: Scope, receive: Receive, send: Send) -> None:
            await serve(scope, receive, send)

        return serving

    return [
        mount("/connection/websocket", endpoint.serve_socket),
        mount(HTTP_STREAM_PATH, emulation.serve_http_stream),
        mount(SSE_PATH, emulation.serve_sse),
        mount(EMULATION_PATH, emulation.serve_emulation),
    ]


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):
        yield


HANDSHAKES = ("sniffer", "http protocol", "endpoint")
"""What answers handshakes: ordinary ones of the product, its others, those of another ASGI server."""


@contextlib.asynccontextmanager
async def running_app(
    limits: Limits | None = None, ws=LeanWebSocket, *, handshake=HANDSHAKES[0]
) -> AsyncIterator[App]:
    """Serve on a free loopback port inside this event loop."""
    async with served(App(limits), ws, handshake=handshake) as app:
        yield app


def _http(app, handshake):
    """What uvicorn makes for a new connection."""
    if handshake == HANDSHAKES[2]:
        return StreamingHttp
    http = partial(BoundedHttp, admission=app.hub.admission)
    if handshake == HANDSHAKES[1]:
        return http

    def sniff(config, server_state, app_state, _loop=None):
        return HandshakeSniffer(
            app.endpoint, server_state, partial(http, config, server_state, app_state), "127.0.0.1"
        )

    return sniff


@contextlib.asynccontextmanager
async def served(app, ws=LeanWebSocket, *, handshake=HANDSHAKES[0]):
    """Serve an app with `hub`, `endpoint` and `litestar()`; its `port` is set."""
    await app.hub.start()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    app.port = listener.getsockname()[1]
    config = uvicorn.Config(
        app.litestar(),
        ws=ws,
        http=_http(app, handshake),
        lifespan="off",
        log_level="warning",
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield app
    finally:
        await app.hub.stop()
        server.should_exit = True
        await serving
        listener.close()
