"""The ordinary way: a small Litestar websocket app on uvicorn as both come, speaking the same bytes as floor and core.

One coroutine per connection receives; a publication is a loop over `await send_text`. No authentication, no history, no
bounds, no heartbeats of its own. Run: `python -m load.benchmarks.stock PORT`.
"""

import sys
from typing import Any

import uvicorn
from litestar import Litestar, WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect

from load.benchmarks.floor import Command, Publish, push_lines, read_commands, read_publish


class Channel:
    """The one channel and its readers."""

    def __init__(self) -> None:
        """Start empty."""
        self.readers: dict[int, WebSocket[Any, Any, Any]] = {}
        self.offset = 0

    async def publish(self, command: Publish) -> None:
        """Send the publications of one command to everybody, joined as the others join them."""
        text = push_lines(command, self.offset).decode()
        self.offset += len(command.items)
        for reader in list(self.readers.values()):
            await reader.send_text(text)


_channel = Channel()


@websocket("/connection/websocket")
async def serve(socket: WebSocket[Any, Any, Any]) -> None:
    """Serve one client."""
    await socket.accept()
    try:
        while True:
            text = await socket.receive_data("text")
            if text != "{}":
                for command in read_commands(text):
                    await _answer(socket, command)
    except WebSocketDisconnect:
        pass
    finally:
        _channel.readers.pop(id(socket), None)


async def _answer(socket: WebSocket[Any, Any, Any], command: Command) -> None:
    if command.rpc is not None:
        data = bytes(command.rpc.data)
        if command.rpc.method == "publish":
            await _channel.publish(read_publish(data))
            data = b"{}"
        answer = b'{"id":%d,"rpc":{"data":%b}}' % (command.id, data)
    elif command.subscribe is not None:
        _channel.readers[id(socket)] = socket
        answer = b'{"id":%d,"subscribe":{"offset":%d}}' % (command.id, _channel.offset)
    else:
        answer = b'{"id":%d,"connect":{"client":"stock","version":"0"}}' % command.id
    await socket.send_text(answer.decode())


app = Litestar([serve], openapi_config=None, logging_config=None)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", backlog=4096)
