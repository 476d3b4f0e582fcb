"""A process without budget on a real socket: it says so before the upgrade, and those who are in notice nothing."""

import asyncio
import gc
import json
import time

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.server import ServerProtocol

from realtime.connection.connection import Connection
from realtime.endpoints.handshake_sniffer import HandshakeSniffer
from realtime.limits import Limits
from realtime.transport.streams import StreamingHttp
from realtime.transport.websocket import LeanWebSocket
from tests.support.realtime_app import HANDSHAKES, running_app
from tests.support.waiting import until

UPGRADE = (
    b"GET /connection/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def ask(app) -> tuple[str, dict[str, str], str]:
    """Return status line, headers and body of the answer to a handshake; the server has closed behind it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(UPGRADE)
    head, _, body = (await asyncio.wait_for(reader.read(), 5)).decode().partition("\r\n\r\n")
    writer.close()
    status, *lines = head.split("\r\n")
    return status, dict(line.lower().split(": ", 1) for line in lines), body


@pytest.mark.parametrize("handshake", HANDSHAKES)
async def test_a_full_process_answers_503_and_says_when_to_come_again(handshake):
    async with running_app(Limits(connections_max=1), handshake=handshake) as app, connect(app.url) as inside:
        await inside.send('{"id":1,"connect":{}}')
        assert "connect" in json.loads(await inside.recv())
        status, headers, body = await ask(app)
        assert status.startswith("HTTP/1.1 503 ")
        assert headers["retry-after"] in {"1", "2", "3"}
        assert int(headers["content-length"]) == len(body)
        assert "connect again" in body
        with pytest.raises(InvalidStatus) as refusal:
            await connect(app.url)
        assert refusal.value.response.status_code == 503
        assert app.hub.counters.refused == {"full": 2}
        await inside.send('{"id":2,"rpc":{"method":"echo","data":1}}')
        assert json.loads(await inside.recv())["rpc"]["data"] == 1
        await inside.close()
        await until(lambda: not app.hub.connections)
        async with connect(app.url) as next_one:
            await next_one.send('{"id":1,"connect":{}}')
            assert "connect" in json.loads(await next_one.recv())


async def test_ordinary_requests_are_answered_by_a_full_process():
    async with running_app(Limits(connections_max=0)) as app:
        async with httpx.AsyncClient(base_url=app.http_url, trust_env=False) as client:
            assert (await client.get("/nothing")).status_code == 404
        assert app.hub.counters.refused == {}


async def test_streams_are_refused_by_the_same_judge():
    async with running_app(Limits(connections_max=0)) as app:
        async with httpx.AsyncClient(base_url=app.http_url, trust_env=False) as client:
            answer = await client.post("/connection/http_stream", content=b'{"id":1,"connect":{}}')
        assert answer.status_code == 503
        assert app.hub.counters.refused == {"full": 1}


async def test_a_late_process_refuses_until_it_has_caught_up():
    async with running_app(Limits(lag_max_s=0.05, lag_step_s=0.02)) as app:
        await asyncio.sleep(0.05)
        time.sleep(0.5)  # noqa: ASYNC251 - this is the point: the server's event loop stands still
        await asyncio.sleep(0.001)
        status, _, body = await ask(app)
        assert status.startswith("HTTP/1.1 503 ")
        assert "late" in body
        await until(lambda: app.hub.admission.check() is None)
        async with connect(app.url):
            pass


async def test_a_client_that_offers_no_denial_extension_is_refused_as_its_server_can():
    """Another ASGI server without the extension: the handshake ends in its own refusal."""
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    async with running_app(Limits(connections_max=0)) as app:
        await app.endpoint.serve_socket({"type": "websocket", "headers": [], "extensions": {}}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1013, "reason": "try again later"}]


@pytest.mark.parametrize("handshake", HANDSHAKES)
async def test_a_connection_that_ended_leaves_nothing_to_the_collector(handshake):
    """Full collections are rare: what waits for one would pile up."""

    def alive():
        kinds = (HandshakeSniffer, StreamingHttp, LeanWebSocket, Connection, ServerProtocol)
        return [one for one in gc.get_objects() if issubclass(type(one), kinds)]

    async with running_app(handshake=handshake) as app:
        gc.collect()
        before = len(alive())
        gc.disable()
        try:
            for number in range(5):
                async with connect(app.url) as ws:
                    await ws.send('{"id":1,"connect":{"token":"u:s"}}')
                    await ws.send('{"id":2,"subscribe":{"channel":"auctions:a"}}')
                    await ws.recv()
                    await ws.recv()
                    if number % 2:
                        ws.transport.abort()
            del ws
            await until(lambda: len(alive()) <= before)
        finally:
            gc.enable()
