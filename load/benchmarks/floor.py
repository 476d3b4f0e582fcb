"""The floor: as little as a Python server can do for the same bytes, an `asyncio.Protocol` on uvloop.

It sends byte for byte what the core sends, speaks just enough of the client protocol for our measuring client, answers
`publish` and `echo`, builds each frame once and writes it to every subscriber; several publications of one request
leave as one frame. No authentication, no history, no bounds, no heartbeats: what Mnbara's core costs beyond this is the
price of being a server.
Run: `python -m load.benchmarks.floor PORT`.
"""

import asyncio
import base64
import hashlib
import sys
import time
from collections.abc import Callable

import msgspec
import uvloop
from msgspec import Raw, Struct
from websockets.speedups import apply_mask

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class _Rpc(Struct):
    method: str
    data: Raw


class _Subscribe(Struct):
    channel: str


class Command(Struct):
    """What a baseline has to know of a client's command; neither subscribe nor RPC: it connects."""

    id: int = 0
    subscribe: _Subscribe | None = None
    rpc: _Rpc | None = None


class Publish(Struct):
    """Data of the RPC `publish`: each of `items` becomes a publication."""

    channel: str
    items: list[Raw]


read_commands = msgspec.json.Decoder(Command).decode_lines
read_publish = msgspec.json.Decoder(Publish).decode


def push_lines(command: Publish, last_offset: int) -> bytes:
    """Return the pushes of a `publish`, numbered from the offset after the channel's last one."""
    now_ms = time.time_ns() // 1_000_000
    return b"\n".join(
        b'{"push":{"channel":"%b","pub":{"data":%b,"offset":%d,"time":%d}}}'
        % (command.channel.encode(), bytes(item), last_offset + number, now_ms)
        for number, item in enumerate(command.items, 1)
    )


def text_frame(payload: bytes) -> bytes:
    """Return one unmasked text frame (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


class Floor(asyncio.Protocol):
    """One connection."""

    # In the order of subscribing, with the bound method: what one looks up per delivery would show.
    subscribers: dict["Floor", Callable[[bytes], None]] = {}  # noqa: RUF012 - one server, one channel
    offset = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the handshake."""
        self.transport, self.write = transport, transport.write
        self.rest, self.is_open = b"", False

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the connection."""
        self.subscribers.pop(self, None)

    def data_received(self, data: bytes) -> None:
        """Take bytes; answer each complete frame."""
        data = self.rest + data
        if not self.is_open:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self.rest = head
                return
            self._accept(head)
        at = 0
        while (end_at := self._frame_end(data, at)) <= len(data):
            start = end_at - self._size
            self._take(data[at] & 15, apply_mask(data[start:end_at], data[start - 4 : start]))
            at = end_at
        self.rest = data[at:]

    def _accept(self, head: bytes) -> None:
        fields = {k.lower(): v for k, _, v in (line.partition(b": ") for line in head.split(b"\r\n"))}
        digest = hashlib.sha1(fields[b"sec-websocket-key"] + _GUID, usedforsecurity=False).digest()
        self.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
        )
        self.is_open = True

    def _frame_end(self, data: bytes, at: int) -> int:
        """Return where the frame at `at` ends, beyond the data when it is incomplete; notes its payload's size."""
        beyond = len(data) + 1
        if len(data) - at < 6:
            return beyond
        size, header = data[at + 1] & 127, 6
        if size == 126:
            size, header = int.from_bytes(data[at + 2 : at + 4], "big"), 8
        elif size == 127:
            if len(data) - at < 14:
                return beyond
            size, header = int.from_bytes(data[at + 2 : at + 10], "big"), 14
        self._size = size
        return at + header + size

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == 8:
            self.transport.close()
        elif opcode == 1 and payload != b"{}":
            for command in read_commands(payload):
                self._answer(command)

    def _answer(self, command: Command) -> None:
        if command.rpc is not None:
            data: bytes = bytes(command.rpc.data)
            if command.rpc.method == "publish":
                data = self._publish(read_publish(data))
            self.write(text_frame(b'{"id":%d,"rpc":{"data":%b}}' % (command.id, data)))
        elif command.subscribe is not None:
            self.subscribers[self] = self.write
            self.write(text_frame(b'{"id":%d,"subscribe":{"offset":%d}}' % (command.id, Floor.offset)))
        else:
            self.write(text_frame(b'{"id":%d,"connect":{"client":"floor","version":"0"}}' % command.id))

    def _publish(self, command: Publish) -> bytes:
        """Send what the command publishes, and return its answer."""
        frame = text_frame(push_lines(command, Floor.offset))
        Floor.offset += len(command.items)
        for write in self.subscribers.values():
            write(frame)
        return b"{}"


async def serve(port: int, connection: type[Floor] = Floor) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
