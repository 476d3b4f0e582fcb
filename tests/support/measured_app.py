"""The realtime core alone, for `./mnbara bench`: real sockets, bus and log in memory, three RPCs. One process.

Run: `python -m tests.support.measured_app PORT`. RPC `publish {channel, items}` commits each item by itself, all in one
tick; RPC `echo` answers its data; RPC `stuck` says how many readers' transports take nothing.
"""

import gc
import sys

import msgspec
import uvicorn
import uvloop

from realtime.endpoints.socket_endpoint import SocketEndpoint
from realtime.transport.websocket import LeanWebSocket
from tests.support.realtime_app import App, SmallApplication


class Publish(msgspec.Struct):
    channel: str
    items: list[msgspec.Raw]


_publishes = msgspec.json.Decoder(Publish)


class MeasuredApplication(SmallApplication):
    """Anonymous clients may publish; what is called is not remembered."""

    def __init__(self, app):
        super().__init__()
        self.app = app

    def call(self, identity, method, data):
        if method == "stuck":
            return b"%d" % len(self.app.hub.fanout.full)
        if method != "publish":
            return data
        command = _publishes.decode(data)
        for item in command.items:
            self.app.commit(command.channel, bytes(item))
        return b"{}"


async def serve(port):
    app = App()
    app.endpoint = SocketEndpoint(app.hub, MeasuredApplication(app))
    await app.hub.start()
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        app.litestar(), host="127.0.0.1", port=port, ws=LeanWebSocket, lifespan="off", log_level="warning"
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
