"""Connections that have not said what they want: they may not wait for ever, and what they say arrives whole."""

import asyncio
import gc

import httpx
import pytest
from websockets.frames import Frame, Opcode

from realtime.endpoints import handshake_sniffer as doorstep
from realtime.limits import Limits
from tests.support.realtime_app import running_app
from tests.support.waiting import until

UPGRADE = (
    b"GET /connection/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture
async def app(monkeypatch):
    monkeypatch.setattr(doorstep, "SILENT_S", 0.05)
    async with running_app(Limits(tick_s=0.05)) as app:
        yield app


async def test_a_connection_that_says_nothing_is_closed(app):
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    assert await asyncio.wait_for(reader.read(), 3) == b""
    writer.close()


async def test_who_came_just_before_the_server_stops_may_still_speak():
    async with running_app() as app:
        reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
        silent, gone = await asyncio.open_connection("127.0.0.1", app.port)
        await asyncio.sleep(0.05)
        for one in gc.get_objects():
            if type(one) is doorstep.HandshakeSniffer:  # isinstance asks weak proxies, which may be dead
                one.shutdown()
        await asyncio.sleep(0.05)
        writer.write(b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 3)).startswith(b"HTTP/1.1 404 ")
        assert await asyncio.wait_for(silent.read(), 3) == b""
        writer.close()
        gone.close()


async def test_a_handshake_in_pieces_is_taken_by_the_full_parser(app):
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    for piece in (UPGRADE[:1], UPGRADE[1:100], UPGRADE[100:]):
        writer.write(piece)
        await asyncio.sleep(0.01)
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)).startswith(b"HTTP/1.1 101 ")
    await until(lambda: app.hub.connections)
    writer.transport.abort()
    await until(lambda: not app.hub.connections)


async def test_frames_that_come_with_the_handshake_are_answered(app):
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    frame = Frame(Opcode.TEXT, b'{"id":1,"connect":{}}').serialize(mask=True)
    writer.write(UPGRADE + frame)
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)).startswith(b"HTTP/1.1 101 ")
    assert b'"connect"' in await asyncio.wait_for(reader.readuntil(b"}}"), 3)
    writer.write(UPGRADE)  # no frame
    assert (await asyncio.wait_for(reader.read(), 3))[:1] == b"\x88"
    writer.close()


async def test_requests_are_served_as_if_it_was_not_there(app):
    async with httpx.AsyncClient(base_url=app.http_url, trust_env=False) as client:
        for _ in range(2):
            assert (await client.get("/nothing")).status_code == 404
        await asyncio.sleep(0.2)  # a kept connection is not a silent one
        assert (await client.post("/nothing", content=b"x" * 100_000)).status_code == 404


async def test_who_leaves_while_waiting_in_line_leaves_nothing_behind(app, monkeypatch):
    waiting = []
    monkeypatch.setattr(app.hub.admission, "enqueue", waiting.append)
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(UPGRADE)
    await until(lambda: waiting)
    await asyncio.sleep(0.2)  # in line for longer than one may be silent
    waiting.pop()()
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 3)).startswith(b"HTTP/1.1 101 ")
    writer.transport.abort()
    await until(lambda: waiting)
    waiting.pop()()
    assert not app.hub.connections
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(UPGRADE)
    await until(lambda: waiting)
    writer.transport.abort()
    await asyncio.sleep(0.01)
    waiting.pop()()  # its answer goes nowhere
    await until(lambda: waiting or not app.hub.connections)
    for step in waiting:
        step()
    await until(lambda: not app.hub.connections)


async def answer_to(app, *pieces):
    """The head of the answer to what is sent, and the streams."""
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    for piece in pieces:
        writer.write(piece)
    return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5), reader, writer


@pytest.mark.parametrize("length", [3_000, 8_300, 30_000])
async def test_a_handshake_with_long_cookies_is_accepted(app, length):
    head, _, writer = await answer_to(app, UPGRADE[:-2] + b"Cookie: a=" + b"b" * length + b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    writer.transport.abort()


@pytest.mark.parametrize(
    ("handshake", "status"),
    [
        (UPGRADE[:-2] + b"Cookie: a=" + b"b" * 33_000 + b"\r\n\r\n", 431),
        (UPGRADE.replace(b"GET ", b"POST "), 405),
        (UPGRADE.replace(b"Host: x", b"Host: a/b"), 400),
        (UPGRADE.replace(b"Host: x", b"Host: a b"), 400),
        (UPGRADE.replace(b"Version: 13", b"Version: 12"), 400),
        (UPGRADE.replace(b"Key: dGhl", b"Key: ?"), 400),
        (UPGRADE.replace(b"Host: x", b"X:"), 400),
    ],
)
async def test_a_handshake_that_is_refused_is_answered_and_ends(app, handshake, status):
    head, reader, writer = await answer_to(app, handshake)
    assert head.startswith(b"HTTP/1.1 %d " % status)
    await asyncio.wait_for(reader.read(), 5)
    writer.close()


async def test_a_request_and_a_handshake_in_one_segment_are_answered_in_order(app):
    request = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
    head, reader, writer = await answer_to(app, request + UPGRADE)
    assert head.startswith(b"HTTP/1.1 404 ")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    assert (await reader.readexactly(length)).startswith(b"{")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    assert head.startswith(b"HTTP/1.1 101 ")
    await until(lambda: app.hub.connections)
    writer.transport.abort()
    await until(lambda: not app.hub.connections)
