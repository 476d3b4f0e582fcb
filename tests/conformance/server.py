"""The realtime core with the rules the official SDKs' suites expect, for `./mnbara conformance-server`.

Run: `python -m tests.conformance.server [--insecure] [--no-presence] [--port 8000]`. Channels
live in memory; never for production.
"""

import argparse
import contextlib
import sys
from dataclasses import replace

import msgspec
import uvicorn
import uvloop
from litestar import Litestar, Request, post

from protocols.topics import Entry
from realtime.connection.channel_queries import is_json
from realtime.connection.connection import Connection
from realtime.endpoints.emulation import Emulation, new_node
from realtime.endpoints.socket_endpoint import SocketEndpoint
from realtime.hub import Hub
from realtime.limits import Limits
from realtime.ports import ProtocolError
from realtime.transport.streams import StreamingHttp
from realtime.transport.websocket import LeanWebSocket
from server.http.sockets import mount_sockets
from tests.conformance.rules import BYTES, identify, judge
from tests.support.presence import MemoryPresence
from tests.support.realtime_app import REFUSALS, MemoryBus, MemoryLog, MemoryMailbox, routes

API_KEY = "test-api-key"
WITHOUT_A_WORD = 3000


OPEN_LIMITS = Limits(commands=None, refusals=None)
"""Without budgets: the suites that expect an open server send as fast as they can."""


class ConformanceEndpoint(SocketEndpoint):
    """Tells the application which connections speak Protobuf."""

    def connect(self, socket, codec, context):
        if codec.binary:
            context = replace(context, transport=f"{context.transport} {BYTES}")
        return super().connect(socket, codec, context)


class ConformanceApplication:
    """Tokens of the suites; who may publish does; no RPC."""

    def __init__(self, app, *, insecure, presence):
        self._app, self._insecure, self._presence = app, insecure, presence

    def recognise(self, token, context):
        identity = identify(token, insecure=self._insecure)
        return replace(identity, roles=frozenset(context.transport.split()) & {BYTES})

    async def authenticate(self, token, context):
        return self.recognise(token, context)

    def confirm(self, identity):
        pass

    async def authorize(self, identity, channel, token=""):
        rule = self.rule(identity.user, channel, token)
        return replace(rule, any_bytes=self._insecure and BYTES in identity.roles)

    def rule(self, user, channel, token=""):
        return judge(user, channel, token, insecure=self._insecure, presence=self._presence)

    def personal_channels(self, identity):
        names = [f"#{identity.user}"] if identity.user else []
        return [(name, self.rule(identity.user, name)) for name in names]

    def call(self, identity, method, data):
        raise ProtocolError(108, "not available")

    async def publish(self, identity, channel, data, info):
        self._app.publish(channel, data, info=info)


class PublishCommand(msgspec.Struct):
    channel: str
    data: msgspec.Raw
    tags: dict[str, str] | None = None


class ChannelCommand(msgspec.Struct):
    channel: str
    limit: int = 0
    reverse: bool = False


class Ending(msgspec.Struct):
    code: int = 3503
    reason: str = "force disconnect"


class UserCommand(msgspec.Struct):
    user: str
    channel: str = ""
    client: str = ""
    disconnect: Ending = msgspec.field(default_factory=Ending)


class ConformanceApp:
    """Hub, endpoints and the small HTTP interface of the suites."""

    def __init__(self, *, insecure=False, presence=True, limits=None):
        self.bus, self.log, self.presence = MemoryBus(), MemoryLog(), MemoryPresence()
        self.insecure = insecure
        limits = limits or (OPEN_LIMITS if insecure else Limits())
        self.hub = Hub(self.bus, self.log, limits, self.presence)
        self.application = ConformanceApplication(self, insecure=insecure, presence=presence)
        self.endpoint = ConformanceEndpoint(self.hub, self.application, ["*"])
        self.emulation = Emulation(self.endpoint, MemoryMailbox(), new_node())
        self.port = 0

    def publish(self, channel, data, *, tags=None, info=b""):
        if not is_json(data):
            self._end_json_readers(channel)
        entry = self.log.append(channel, data, tags=tags, info=info)
        self.bus.publish([(channel, [entry])])
        return entry

    def _end_json_readers(self, channel):
        """End those that are there; one that asks for the channel's history later cannot parse such a row."""
        for connection in list(self.hub.connections):
            if not connection.codec.binary and channel in connection.channels:
                connection.disconnect(3506, "inappropriate protocol")

    def litestar(self):
        return Litestar(
            [
                mount_sockets(self.endpoint),
                *routes(self.endpoint, self.emulation)[1:],
                self._api(),
            ],
            exception_handlers=REFUSALS,
            openapi_config=None,
            logging_config=None,
        )

    def _api(self):
        verbs = {
            "publish": (PublishCommand, self._publish),
            "history": (ChannelCommand, self._history),
            "presence": (ChannelCommand, self._presence),
            "presence_stats": (ChannelCommand, self._presence_stats),
            "disconnect": (UserCommand, self._disconnect),
            "unsubscribe": (UserCommand, self._unsubscribe),
            "subscribe": (UserCommand, self._subscribe),
        }

        @post("/api/{verb:str}", status_code=200)
        async def api(request: Request) -> dict:
            verb = request.path_params["verb"]
            if not self.insecure and request.headers.get("X-API-Key") != API_KEY:
                return {"error": {"code": 101, "message": "unauthorized"}}
            if verb not in verbs:
                return {"error": {"code": 104, "message": "method not found"}}
            kind, run = verbs[verb]
            try:
                command = msgspec.json.decode(await request.body(), type=kind)
                if kind is not UserCommand or command.channel:
                    judge("", command.channel, "", insecure=True)
                return {"result": await run(command)}
            except msgspec.DecodeError:
                return {"error": {"code": 107, "message": "bad request"}}
            except ProtocolError as error:
                return {"error": {"code": error.code, "message": error.message}}

        return api

    async def _publish(self, command):
        entry = self.publish(command.channel, bytes(command.data), tags=command.tags)
        return {"offset": entry.number, "epoch": self.log.epoch}

    async def _history(self, command):
        rule = judge("", command.channel, "", insecure=True)
        entries = self.log.streams.get(command.channel, [])
        limit = rule.history_size if command.limit < 0 else min(command.limit, rule.history_size)
        kept = entries[-rule.history_size :]
        kept = kept[::-1][:limit] if command.reverse else kept[:limit]
        publications = [_publication(entry) for entry in kept]
        return {"publications": publications, "offset": len(entries), "epoch": self.log.epoch}

    async def _presence(self, command):
        members = await self.hub.presence_tracker.members(command.channel, 1_000) or {}
        return {"presence": {client: msgspec.json.decode(info) for client, info in members.items()}}

    async def _presence_stats(self, command):
        clients, users = await self.hub.presence_tracker.count(command.channel)
        return {"num_clients": clients, "num_users": users}

    async def _disconnect(self, command):
        for member in list(self.hub.connections_of(command.user)):
            if command.client in {"", member.client}:
                _end(member, command.disconnect)
        return {}

    async def _unsubscribe(self, command):
        self.hub.unsubscribe_user(command.user, command.channel)
        return {}

    async def _subscribe(self, command):
        rule = judge(command.user, command.channel, "", insecure=True)
        for member in self.hub.connections_of(command.user):
            await self.hub.subscribe(member, command.channel, rule)
        return {}


def _end(member: Connection, ending: Ending) -> None:
    """Disconnect; 3000 stands for a socket that closes without a word, which the suites provoke that way."""
    if ending.code == WITHOUT_A_WORD and isinstance(member.socket, LeanWebSocket):
        member.socket.transport.abort()
    else:
        member.disconnect(ending.code, ending.reason)


def _publication(entry: Entry) -> dict:
    found = {"data": msgspec.json.decode(entry.data), "offset": entry.number}
    if entry.tags:
        found["tags"] = entry.tags
    if entry.info:
        found["info"] = msgspec.json.decode(entry.info)
    return found


async def serve(port, *, insecure, presence):
    app = ConformanceApp(insecure=insecure, presence=presence)
    await app.hub.start()
    config = uvicorn.Config(
        app.litestar(),
        host="127.0.0.1",
        port=port,
        ws=LeanWebSocket,
        http=StreamingHttp,
        lifespan="off",
        log_level="warning",
    )
    print(f"conformance server on http://127.0.0.1:{port}, insecure: {insecure}", flush=True)
    try:
        await uvicorn.Server(config).serve()
    finally:
        await app.hub.stop()


def main(arguments):
    parser = argparse.ArgumentParser(
        prog="./mnbara conformance-server",
        description="Serve the channels and tokens that the official SDKs' suites expect.",
        epilog="example: ./mnbara conformance-server --insecure --port 8001",
    )
    parser.add_argument("--insecure", action="store_true", help="no token is needed for anything")
    parser.add_argument("--no-presence", action="store_true", help="presence is not available in any channel")
    parser.add_argument("--port", type=int, default=8000)
    wanted = parser.parse_args(arguments)
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(wanted.port, insecure=wanted.insecure, presence=not wanted.no_presence))


if __name__ == "__main__":
    main(sys.argv[1:])
