"""The websocket protocol class under floods: what one turn of the event loop handles, and what is thrown away."""

import asyncio

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from realtime.limits import DISCARDED_BYTES_MAX, FRAGMENTS_MAX, FRAMES_RULE, TURN_FRAMES_MAX
from realtime.transport.frames import CLOSE, CONTINUATION, PING, PONG, TEXT, split_frames
from realtime.transport.websocket import LeanWebSocket
from tests.support.transports import Wire
from tests.unit.realtime.test_frames import client_frame


class User:
    """A connection that notes its messages, and pauses when told to."""

    def __init__(self, name="", log=None):
        self.name, self.log = name, [] if log is None else log
        self.end = ""

    def message_received(self, payload):
        self.log.append(self.name)

    def flooded(self, reason):
        self.end = reason
        self.socket.close(3013, reason)

    def socket_lost(self, code):
        self.end = self.end or str(code)


def opened(name="", log=None):
    websocket = LeanWebSocket.opened(ServerState(), Wire())
    user = User(name, log)
    user.socket = websocket
    websocket.attach(user)
    return websocket, user


async def turns_until(condition):
    for turn in range(10_000):
        if condition():
            return turn
        await asyncio.sleep(0)
    raise AssertionError("it never came true")


async def test_another_connection_is_served_while_a_flood_waits():
    log = []
    flooder, _ = opened("flood", log)
    honest, _ = opened("honest", log)
    count = 10 * TURN_FRAMES_MAX
    flooder.data_received(client_frame(b"", TEXT) * count)
    assert len(log) == TURN_FRAMES_MAX
    assert not flooder.transport.is_read
    await asyncio.sleep(0)
    honest.data_received(client_frame(b"", TEXT))
    await turns_until(lambda: len(log) == count + 1)
    assert log.index("honest") <= 2 * TURN_FRAMES_MAX
    await turns_until(lambda: flooder.transport.is_read)


async def test_each_turn_handles_one_part_however_often_reading_is_paused_and_resumed():
    flooder, user = opened()
    count = 10 * TURN_FRAMES_MAX
    flooder.data_received(client_frame(b"", TEXT) * count)
    for _ in range(5):
        flooder.pause_reading()
        flooder.resume_reading()
    handled = len(user.log)
    while handled < count:
        await asyncio.sleep(0)
        assert handled < len(user.log) <= handled + TURN_FRAMES_MAX
        assert flooder.transport.is_read == (len(user.log) == count)
        handled = len(user.log)


@pytest.mark.parametrize(
    "flood",
    [
        client_frame(b"", PING) * 1000,
        client_frame(b"", PONG) * 1000,
        client_frame(b"{", TEXT, fin=False) + client_frame(b"", CONTINUATION, fin=False) * 1000,
        client_frame(b"{", TEXT, fin=False) + client_frame(b"x" * 60, CONTINUATION, fin=False) * 1000,
    ],
    ids=["pings", "pongs", "empty fragments", "small fragments"],
)
async def test_flood_ends_with_the_users_goodbye_and_the_rest_is_thrown_away(flood):
    flooder, user = opened()
    flooder.data_received(flood)
    turns = await turns_until(lambda: user.end)
    assert turns <= FRAMES_RULE.limit // TURN_FRAMES_MAX + 1
    assert user.end == "too many frames"
    *pongs, (opcode, payload) = split_frames(flooder.transport.written)
    assert len(pongs) <= FRAMES_RULE.limit
    assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, 3013)
    assert flooder.transport.ended
    await asyncio.sleep(0)
    assert flooder.transport.is_read  # to its end, so that the peer sees the close frame
    flooder.connection_lost(None)


async def test_slow_endless_message_is_refused_too(monkeypatch):
    now_ns = [0]
    monkeypatch.setattr("realtime.transport.websocket.time.monotonic_ns", lambda: now_ns[0])
    flooder, user = opened()
    flooder.data_received(client_frame(b"{", TEXT, fin=False))
    for _ in range(FRAGMENTS_MAX - 2):
        now_ns[0] += 1_000_000_000
        flooder.data_received(client_frame(b"", CONTINUATION, fin=False))
    assert not user.end
    flooder.data_received(client_frame(b"", CONTINUATION, fin=False))
    assert user.end == "too many fragments"
    flooder.connection_lost(None)


@pytest.mark.parametrize("opcode", [TEXT, PING, PONG], ids=["messages", "pings", "pongs"])
async def test_frames_behind_the_servers_close_are_counted(opcode):
    websocket, user = opened()
    websocket.close(3000, "bye")
    websocket.data_received(client_frame(b"", opcode) * 1000)
    await turns_until(lambda: websocket.transport.ended)
    assert user.log == []
    assert [kind for kind, _ in split_frames(websocket.transport.written)] == [CLOSE]
    websocket.connection_lost(None)


async def test_peer_that_never_ends_what_is_thrown_away_is_cut():
    websocket, _ = opened()
    websocket.data_received(client_frame(b"", 0xB))  # breaks a rule
    piece = bytes(1 << 20)
    for _ in range(DISCARDED_BYTES_MAX // len(piece)):
        websocket.data_received(piece)
        assert not websocket.transport.is_read
        await asyncio.sleep(0)
        assert websocket.transport.is_read
    assert not websocket.transport.aborted
    websocket.data_received(b"x")
    assert websocket.transport.aborted
    websocket.connection_lost(None)


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def test_nothing_is_read_between_a_handshake_and_its_answer():
    may_accept = asyncio.Event()
    texts = []

    async def application(scope, receive, send):
        await receive()
        await may_accept.wait()
        await send({"type": "websocket.accept"})
        texts.append((await receive())["text"])

    config = Config(application, lifespan="off", log_config=None)
    config.load()
    websocket = LeanWebSocket(config, ServerState(), {})
    websocket.connection_made(Wire())
    websocket.data_received(HANDSHAKE)
    for _ in range(10):
        assert not websocket.transport.is_read
        await asyncio.sleep(0)
    may_accept.set()
    await turns_until(lambda: websocket.transport.is_read)
    websocket.data_received(client_frame(b"hello", TEXT))
    await turns_until(lambda: texts == ["hello"])
    websocket.connection_lost(None)
