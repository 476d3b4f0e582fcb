"""Access that is taken away while a connection opens: it is found by its session, and looks itself before it opens."""

import asyncio
import json

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.realtime_app import running_app
from tests.support.waiting import until


async def close_code(socket: ClientConnection) -> int | None:
    """Read until the server closes, and return its code."""
    try:
        async with asyncio.timeout(2):
            while True:
                reply = json.loads(await socket.recv())
                assert "connect" not in reply, "the connection opened"
    except ConnectionClosed:
        return socket.close_code


CONNECT = json.dumps({"id": 1, "connect": {"token": "amina:session1"}})


async def test_session_that_ends_while_its_connection_opens_is_refused() -> None:
    async with running_app() as app:
        app.bus.delay_s = 0.3  # the personal channel takes a while to subscribe
        async with connect(app.url) as socket:
            await socket.send(CONNECT)
            await asyncio.sleep(0.1)  # authenticated, not yet open
            app.application.over.add("session1")
            assert await close_code(socket) == 3500


async def test_session_that_is_ended_while_its_connection_opens_is_closed() -> None:
    async with running_app() as app:
        app.bus.delay_s = 0.3
        async with connect(app.url) as socket:
            await socket.send(CONNECT)
            await until(lambda: app.hub.disconnect_session("session1", 4501, "session over") == 1)
            assert await close_code(socket) == 4501


async def test_session_that_lives_opens_however_long_it_takes() -> None:
    async with running_app() as app:
        app.bus.delay_s = 0.3
        async with connect(app.url) as socket:
            await socket.send(CONNECT)
            reply = json.loads(await asyncio.wait_for(socket.recv(), 2))
            assert reply["connect"]["client"]
            assert app.hub.disconnect_session("session1", 4501, "session over") == 1
            assert await close_code(socket) == 4501
