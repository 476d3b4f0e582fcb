"""The realtime core with the rules the official SDKs' suites expect, for `./mnbara conformance-server`.

Run: `python -m tests.conformance.server [--insecure] [--port 8000]`. Channels live in memory; never for production.
"""

import argparse
import contextlib
import sys

import msgspec
import uvicorn
import uvloop
from litestar import Litestar, Request, post

from protocols.topics import Entry
from realtime.endpoints.emulation import Emulation, new_node
from realtime.endpoints.socket_endpoint import SocketEndpoint
from realtime.hub import Hub
from realtime.limits import Limits
from realtime.ports import ProtocolError
from realtime.transport.streams import StreamingHttp
from realtime.transport.websocket import LeanWebSocket
from server.http.sockets import mount_sockets
from tests.conformance.rules import identify, judge
from tests.support.presence import MemoryPresence
from tests.support.realtime_app import REFUSALS, MemoryBus, MemoryLog, MemoryMailbox, routes

API_KEY = "test-api-key"


class ConformanceApplication:
    """Tokens of the suites; who may publish does; no RPC."""

    def __init__(self, app, *, insecure):
        self._app, self._insecure = app, insecure

    def recognise(self, token, context):
        return identify(token, insecure=self._insecure)

    async def authenticate(self, token, context):
        return identify(token, insecure=self._insecure)

    def confirm(self, identity):
        pass

    async def authorize(self, identity, channel, token=""):
        return judge(identity.user, channel, token, insecure=self._insecure)

    def personal_channels(self, identity):
        names = [f"#{identity.user}"] if identity.user else []
        return [(name, judge(identity.user, name, "", insecure=self._insecure)) for name in names]

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


class UserCommand(msgspec.Struct):
    user: str
    channel: str = ""


class ConformanceApp:
    """Hub, endpoints and the small HTTP interface of the suites."""

    def __init__(self, *, insecure=False, limits=None):
        self.bus, self.log, self.presence = MemoryBus(), MemoryLog(), MemoryPresence()
        self.hub = Hub(self.bus, self.log, limits or Limits(), self.presence)
        self.application = ConformanceApplication(self, insecure=insecure)
        self.endpoint = SocketEndpoint(self.hub, self.application, ["*"])
        self.emulation = Emulation(self.endpoint, MemoryMailbox(), new_node())
        self.port = 0

    def publish(self, channel, data, *, tags=None, info=b""):
        entry = self.log.append(channel, data, tags=tags, info=info)
        self.bus.publish([(channel, [entry])])
        return entry

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
            if request.headers.get("X-API-Key") != API_KEY:
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
        kept = entries[-rule.history_size :][:limit]
        publications = [_publication(entry) for entry in kept]
        return {"publications": publications, "offset": len(entries), "epoch": self.log.epoch}

    async def _presence(self, command):
        members = await self.hub.presence_tracker.members(command.channel, 1_000) or {}
        return {"presence": {client: msgspec.json.decode(info) for client, info in members.items()}}

    async def _presence_stats(self, command):
        clients, users = await self.hub.presence_tracker.count(command.channel)
        return {"num_clients": clients, "num_users": users}

    async def _disconnect(self, command):
        self.hub.disconnect_user(command.user, 3503, "force disconnect")
        return {}

    async def _unsubscribe(self, command):
        self.hub.unsubscribe_user(command.user, command.channel)
        return {}

    async def _subscribe(self, command):
        rule = judge(command.user, command.channel, "", insecure=True)
        for member in self.hub.connections_of(command.user):
            await self.hub.subscribe(member, command.channel, rule)
        return {}


def _publication(entry: Entry) -> dict:
    found = {"data": msgspec.json.decode(entry.data), "offset": entry.number}
    if entry.tags:
        found["tags"] = entry.tags
    if entry.info:
        found["info"] = msgspec.json.decode(entry.info)
    return found


async def serve(port, *, insecure):
    app = ConformanceApp(insecure=insecure)
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
    parser.add_argument("--port", type=int, default=8000)
    wanted = parser.parse_args(arguments)
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(wanted.port, insecure=wanted.insecure))


if __name__ == "__main__":
    main(sys.argv[1:])
