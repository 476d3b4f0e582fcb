"""The same fan-out by nats-server over its own websockets, where that is installed: what others' C and Go cost.

The protocol is NATS' text: a publication arrives as `MSG subject sid size`, a line, and the payload.
"""

import contextlib
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from load.benchmarks.machine import free_port, pin
from load.benchmarks.programs import listening_program
from load.benchmarks.stage import SUBSCRIBERS, Counter, Stage
from load.client import READ_BUFFER_BYTES
from load.waiting import gather_some, wait_until

SUBJECT = b"measured"
_CONNECT = b'CONNECT {"verbose":false,"pedantic":false}\r\n'


class _Reader(WSListener):
    """One client; what it is sent is counted."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self.counter = counter
        self.transport: WSTransport | None = None
        self.ready = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        data = frame.get_payload_as_bytes()
        messages = data.count(b"MSG ")
        if messages:
            self.counter.deliveries += messages
            self.counter.frames += 1
            if self.counter.on_progress is not None:
                self.counter.on_progress()
        elif data.startswith(b"PONG"):
            self.ready = True
        elif data.startswith(b"PING"):
            transport.send(WSMsgType.BINARY, b"PONG\r\n")

    def close(self) -> None:
        if self.transport is not None:
            self.transport.disconnect()


def find_nats_server() -> str | None:
    """Return where the program is: beside our Python, or on PATH."""
    beside = Path(sys.executable).with_name("nats-server")
    return str(beside) if beside.exists() else shutil.which("nats-server")


@contextlib.asynccontextmanager
async def nats_stage(home: Path, program: str) -> AsyncIterator[Stage]:
    """Run nats-server on the servers' core, with a publisher and its audience."""
    port, plain = free_port(), free_port()
    config = home / "nats_fanout.conf"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(
        f'host: "127.0.0.1"\nport: {plain}\n'
        f'websocket {{ host: "127.0.0.1", port: {port}, no_tls: true, compression: false }}\n'
    )
    async with listening_program(
        [program, "-c", str(config)], port, home / "logs" / "nats_fanout.log"
    ) as pid:
        pin(pid, 0)
        counter = Counter()

        async def enter() -> _Reader:
            reader = _Reader(counter)
            await ws_connect(
                lambda: reader, f"ws://127.0.0.1:{port}/", read_buffer_init_size=READ_BUFFER_BYTES
            )
            assert reader.transport is not None
            reader.transport.send(WSMsgType.BINARY, _CONNECT)
            return reader

        publisher, *readers = await gather_some([enter] * (SUBSCRIBERS + 1))
        for reader in readers:
            assert reader.transport is not None
            reader.transport.send(WSMsgType.BINARY, b"SUB %b 1\r\nPING\r\n" % SUBJECT)
        await wait_until(lambda: all(reader.ready for reader in readers), 20.0)

        def publish(*items: bytes) -> None:
            assert publisher.transport is not None
            for item in items:
                publisher.transport.send(
                    WSMsgType.BINARY, b"PUB %b %d\r\n%b\r\n" % (SUBJECT, len(item), item)
                )

        yield Stage(pid, publish, counter, [publisher, *readers])
