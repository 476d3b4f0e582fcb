"""RFC 6455 on a real socket of the running server."""

import asyncio
import base64
import json
import os
import random

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.speedups import apply_mask

from realtime.limits import FRAMES_RULE, Limits
from realtime.transport.frames import split_frames
from tests.support.realtime_app import HANDSHAKES, running_app
from tests.support.waiting import until

MASKS = random.Random(7)
"""Cases are named by their bytes: every worker of a run must make the same ones."""
BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT = 2, 8, 0, 9, 10, 1


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app():
    async with running_app() as app:
        yield app


class RawClient:
    """A client that can break every rule."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, app, path="/connection/websocket", **headers):
        reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
        client = cls(reader, writer)
        client.handshake = await client.upgrade(app, path, headers)
        return client

    async def upgrade(self, app, path, headers):
        lines = {
            "Host": f"127.0.0.1:{app.port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        text = f"GET {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items() if v) + "\r\n"
        self.writer.write(text.encode())
        return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    def send(self, payload, opcode=TEXT, *, fin=True, rsv=0, masked=True):
        self.writer.write(frame(payload, opcode, fin=fin, rsv=rsv, masked=masked))

    async def rest(self):
        """Everything until the server closes."""
        async with asyncio.timeout(3):
            return split_frames(await self.reader.read(-1))

    async def next(self):
        async with asyncio.timeout(3):
            head = await self.reader.readexactly(2)
            size = head[1]
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            return head[0] & 0xF, await self.reader.readexactly(size)

    def close(self):
        self.writer.transport.abort()


def frame(payload, opcode=TEXT, *, fin=True, rsv=0, masked=True, mask=b""):
    first = (0x80 if fin else 0) | rsv | opcode
    size = len(payload)
    flag = 0x80 if masked else 0
    if size < 126:
        head = bytes([first, flag | size])
    elif size < 65_536:
        head = bytes([first, flag | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, flag | 127]) + size.to_bytes(8, "big")
    mask = mask or MASKS.randbytes(4)
    return head + mask + apply_mask(payload, mask) if masked else head + payload


CONNECT = b'{"id":1,"connect":{}}'


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(CONNECT, masked=False), 1002),
        (frame(CONNECT, rsv=0x40), 1002),
        (frame(CONNECT, 0x3), 1002),
        (frame(b"", 0xB), 1002),
        (frame(b"x" * 126, PING), 1002),
        (frame(b"", PING, fin=False), 1002),
        (frame(b"x", CONTINUATION), 1002),
        (frame(b"x", fin=False) + frame(b"x"), 1002),
        (frame(b"\xff"), 1007),
        (frame(b"\xce", fin=False) + frame(b"", CONTINUATION), 1007),
        (frame(b"x" * 65_537), 1009),
        (frame(b"x" * 65_000, fin=False) + frame(b"x" * 600, CONTINUATION), 1009),
        (b"\x81\xff" + b"\xff" * 8, 1009),
        (frame(b"\x03", CLOSE), 1002),
        (frame(b"\x03\xed", CLOSE), 1002),
        (frame(b"\x07\xd0", CLOSE), 1002),
        (frame(b"\x03\xe8\xff\xff", CLOSE), 1007),
        (frame(b"\x03\xe8bye", CLOSE), 1000),
        (frame(b"\x0f\xa1", CLOSE), 4001),
    ],
)
async def test_frame_is_answered_with_its_close_code(app, data, code):
    client = await RawClient.open(app)
    client.writer.write(data)
    [(opcode, payload)] = await client.rest()
    assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, code)
    client.close()


async def test_close_without_code_is_echoed_without_code(app):
    client = await RawClient.open(app)
    client.send(b"", CLOSE)
    assert await client.rest() == [(CLOSE, b"")]
    client.close()


async def test_ping_is_answered_between_fragments_of_a_message_that_comes_byte_by_byte(app):
    client = await RawClient.open(app)
    data = frame(CONNECT[:5], fin=False) + frame(b"are you there", PING) + frame(CONNECT[5:], CONTINUATION)
    for index in range(len(data)):
        client.writer.write(data[index : index + 1])
        if index % 8 == 0:
            await asyncio.sleep(0.001)
    assert await client.next() == (PONG, b"are you there")
    opcode, payload = await client.next()
    assert opcode == TEXT
    assert b'"connect":{"client"' in payload
    client.close()


async def test_half_closed_connection_is_forgotten(app):
    client = await RawClient.open(app)
    client.send(CONNECT)
    await client.next()
    before = len(app.hub.connections)
    client.writer.write_eof()
    assert await client.rest() == []
    await until(lambda: len(app.hub.connections) == before - 1)
    client.close()


async def test_messages_behind_a_close_are_not_served(app):
    client = await RawClient.open(app)
    calls = len(app.application.calls)
    client.writer.write(
        frame(CONNECT) + frame(b"\x03\xe8", CLOSE) + frame(b'{"id":2,"rpc":{"method":"echo"}}')
    )
    await client.rest()
    assert len(app.application.calls) == calls
    client.close()


async def test_server_that_closes_waits_for_the_peers_close_and_then_leaves(app):
    client = await RawClient.open(app)
    client.send(b"not a command")
    assert (await client.next())[0] == TEXT  # the disconnect push
    opcode, payload = await client.next()
    assert (opcode, int.from_bytes(payload[:2], "big"), payload[2:]) == (CLOSE, 3501, b"bad request")
    client.send(b"ignored")
    client.send(payload, CLOSE)
    assert await client.rest() == []
    client.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=HANDSHAKES)
async def judging(request):
    """An app for each of the places where handshakes are judged."""
    async with running_app(handshake=request.param) as app:
        yield app


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({}, "101"),
        ({"Origin": "https://friend.example"}, "101"),
        ({"Origin": "https://evil.example"}, "403"),
        ({"Origin": "null"}, "403"),
        ({"Sec_WebSocket_Version": "12"}, "400"),
        ({"Sec_WebSocket_Key": "short"}, "400"),
        ({"Connection": "close, Upgrade"}, "101"),
        ({"Content_Length": "0"}, "101"),
    ],
)
async def test_handshake_is_judged_the_same_everywhere(judging, headers, answer):
    client = await RawClient.open(judging, **headers)
    assert client.handshake.split(" ")[1] == answer
    client.close()


async def test_a_refused_handshake_says_why_to_its_client_and_in_the_log(judging, caplog):
    caplog.set_level("INFO", "realtime.transport.refusals")
    for headers, code, word in (
        ({"Origin": "https://evil.example"}, "not_allowed", "https://evil.example"),
        ({"Sec_WebSocket_Key": "short"}, "invalid_input", "Sec-WebSocket-Key"),
    ):
        client = await RawClient.open(judging, **headers)
        assert "content-type: application/problem+json" in client.handshake.lower()
        problem = json.loads(await asyncio.wait_for(client.reader.read(), 5))
        assert (problem["code"], word in problem["detail"]) == (code, True)
        assert client.handshake.startswith(f"HTTP/1.1 {problem['status']} ")
        [line] = [line for line in caplog.messages if problem["trace_id"] in line]
        assert problem["detail"] in line
        client.close()


async def test_browser_of_the_same_host_is_let_in(judging):
    client = await RawClient.open(judging, Origin=f"http://127.0.0.1:{judging.port}")
    assert " 101 " in client.handshake
    client.close()


@pytest.mark.parametrize("order", [("json", "protobuf"), ("protobuf", "json")])
async def test_of_several_subprotocols_the_first_of_the_client_counts(judging, order):
    first, second = (f"centrifuge-{word}" for word in order)
    client = await RawClient.open(judging, Sec_WebSocket_Protocol=f"{first}, {second}")
    assert f"Sec-WebSocket-Protocol: {first}\r\n" in client.handshake
    client.close()


@pytest.mark.parametrize("offered", ["centrifuge-protobuf", "centrifuge-json"])
async def test_subprotocol_is_echoed_and_spoken(judging, offered):
    client = await RawClient.open(judging, Sec_WebSocket_Protocol=f"other, {offered}")
    assert f"Sec-WebSocket-Protocol: {offered}" in client.handshake
    binary = offered == "centrifuge-protobuf"
    client.send(b"\x04\x08\x01\x22\x00" if binary else CONNECT, BINARY if binary else TEXT)
    assert (await client.next())[0] == (BINARY if binary else TEXT)
    client.close()


async def test_format_may_be_asked_for_in_the_address(judging):
    client = await RawClient.open(judging, "/connection/websocket?format=protobuf")
    client.send(b"\x04\x08\x01\x22\x00", BINARY)
    assert (await client.next())[0] == BINARY
    client.close()


async def test_compression_is_not_negotiated(judging):
    client = await RawClient.open(judging, Sec_WebSocket_Extensions="permessage-deflate")
    assert "permessage-deflate" not in client.handshake
    client.close()


FLOODS = {
    "pings": frame(b"", PING, mask=b"1234") * 1_500_000,
    "large pings": frame(b"x" * 125, PING, mask=b"1234") * 60_000,
    "pongs": frame(b"", PONG, mask=b"1234") * 200_000,
    "empty fragments": frame(b"{", fin=False) + frame(b"", CONTINUATION, fin=False, mask=b"1234") * 200_000,
}


@pytest.mark.parametrize("connects_first", [True, False])
@pytest.mark.parametrize("name", FLOODS)
async def test_flood_of_frames_is_cut_while_others_are_served(app, name, connects_first):
    honest, client = await RawClient.open(app), await RawClient.open(app)
    for one in [honest, client] if connects_first else [honest]:
        one.send(CONNECT)
        await one.next()
    cuts = app.hub.counters.flood_cuts
    client.writer.write(FLOODS[name])
    answers = asyncio.create_task(client.rest())
    honest.send(b'{"id":2,"rpc":{"method":"echo","data":7}}')
    assert b'"data":7' in (await honest.next())[1]
    *pongs, (kind, goodbye), (opcode, payload) = await answers
    assert (kind, opcode) == (TEXT, CLOSE)
    assert b'"code":3013' in goodbye
    assert int.from_bytes(payload[:2], "big") == 3013
    assert len(pongs) <= FRAMES_RULE.limit
    assert app.hub.counters.flood_cuts == cuts + 1
    honest.close()
    client.close()


async def test_client_that_pings_every_now_and_then_is_not_cut(app):
    client = await RawClient.open(app)
    for _ in range(FRAMES_RULE.limit // 8):
        client.send(b"", PING)
        client.send(b"", PONG)
        assert await client.next() == (PONG, b"")
    client.send(CONNECT)
    assert b'"connect"' in (await client.next())[1]
    client.close()


async def test_flood_of_slow_commands_is_taken_as_fast_as_it_is_served():
    async with running_app(Limits(commands=None, refusals=None)) as app:
        client = await RawClient.open(app)
        client.send(CONNECT)
        await client.next()
        count = 3000
        history = b'{"id":%d,"history":{"channel":"auctions:flood"}}'
        flood = b"".join(frame(history % number) for number in range(1, count + 1))
        client.writer.write(flood)
        for number in range(1, count + 1):
            opcode, payload = await client.next()
            assert (opcode, payload[: len(b'{"id":%d,' % number)]) == (TEXT, b'{"id":%d,' % number)
        client.close()


async def test_other_websocket_library_can_be_served_without_the_extension():
    async with (
        running_app(ws="websockets-sansio", handshake=HANDSHAKES[2]) as app,
        connect(app.url) as client,
    ):
        await client.send('{"id":1,"connect":{"token":"u:s"}}\n{"id":2,"subscribe":{"channel":"auctions:1"}}')
        assert '"connect"' in await client.recv()
        assert '"subscribe"' in await client.recv()
        app.commit("auctions:1", "1", "2")
        assert '"offset":1' in (pushes := await client.recv())
        assert '"offset":2' in pushes
        await client.send("broken")
        assert '"code":3501' in await client.recv()
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (3501, "bad request")
        await until(lambda: not app.hub.connections)
