"""The connection to NATS: a server that answers late is reported, and still read."""

import asyncio
import contextlib
import logging

import pytest

from protocols.errors import TemporarilyUnavailable
from storage.engines import nats
from tests.support.waiting import until


async def test_a_late_answer_to_a_ping_ends_nothing(monkeypatch, caplog):
    monkeypatch.setattr(nats, "PING_S", 0.05)
    may_answer, pings = asyncio.Event(), []

    async def serve(reader, writer):
        writer.write(b'INFO {"server_id":"x","version":"2.11.0","max_payload":1048576,"headers":true}\r\n')
        while line := await reader.readline():
            if line.startswith(b"PING"):
                pings.append(line)
                if len(pings) > 1:  # the first belongs to the connection
                    await may_answer.wait()
                writer.write(b"PONG\r\n")
        writer.close()

    async with contextlib.AsyncExitStack() as stack:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        stack.callback(server.close)
        link = nats.NatsLink(f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}", "late")
        stack.push_async_callback(link.close)
        await until(lambda: link._client is not None)
        for _ in range(2):
            with pytest.raises(TemporarilyUnavailable):
                await link.ping()
        may_answer.set()
        await until(link._pinging.done)
        monkeypatch.setattr(nats, "PING_S", 5.0)
        await link.ping()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
