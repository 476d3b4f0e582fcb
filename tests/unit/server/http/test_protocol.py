"""What one turn of the event loop parses of an HTTP connection, and what waits for an answer."""

import asyncio
import gc
import weakref

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from realtime.transport.websocket import LeanWebSocket
from server.http.protocol import HIGH_WATER_LIMIT, PIECE_BYTES, TURN_CHUNKS_MAX, BoundedHttp
from tests.support.transports import Wire

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
PIPELINED_MAX = PIECE_BYTES // len(GET) + 2


class Application:
    """Answers 200 with the length of the body, when it may."""

    def __init__(self):
        self.served = []
        self.may_read, self.may_answer = asyncio.Event(), asyncio.Event()
        self.may_read.set()
        self.may_answer.set()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        await self.may_read.wait()
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size, more = size + len(message["body"]), message["more_body"]
        await self.may_answer.wait()
        self.served.append((scope["path"], size))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


def opened(application, **named):
    config = Config(application, ws=LeanWebSocket, lifespan="off", log_config=None)
    config.load()
    http = BoundedHttp(config, ServerState(), {}, asyncio.get_running_loop(), **named)
    http.connection_made(Wire())
    return http


@pytest.fixture
async def application():
    return Application()


@pytest.fixture
async def http(application):
    http = opened(application)
    yield http
    http.connection_lost(RuntimeError())


async def turns_until(condition, watch=lambda: None):
    for _ in range(100_000):
        watch()
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")


async def test_a_flood_of_pipelined_requests_waits_unparsed_while_others_are_served(http, application):
    count = 3_000
    http.data_received(GET * count)
    assert not http.transport.is_read
    other = opened(application)
    other.data_received(GET.replace(b"/ ", b"/other "))
    queued = []
    await turns_until(lambda: len(application.served) > count, lambda: queued.append(len(http.pipeline)))
    assert max(queued) <= PIPELINED_MAX
    assert application.served.index(("/other", 0)) <= 5
    assert http.transport.written.count(b" 200 ") == count
    await turns_until(lambda: http.transport.is_read)
    other.connection_lost(RuntimeError())


async def test_what_follows_a_request_without_an_answer_is_not_read(http, application):
    application.may_answer.clear()
    http.data_received(GET + b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    for _ in range(20):
        await asyncio.sleep(0)
    assert not http.transport.is_read
    assert http._deadline is None  # nobody is late with a head that is here
    application.may_answer.set()
    await turns_until(lambda: len(application.served) == 2)
    await turns_until(lambda: http.transport.is_read)


async def test_a_flood_of_small_chunks_is_parsed_in_turns(http, application):
    count = 20_000
    http.data_received(POST + b"1\r\nx\r\n" * count + b"0\r\n\r\n")
    most = []
    await turns_until(lambda: application.served, lambda: most.append(http._chunks))
    assert application.served == [("/", count)]
    assert max(most) <= TURN_CHUNKS_MAX + PIECE_BYTES // 6


@pytest.mark.parametrize("chunk", [b"%x\r\n%b\r\n" % (size, b"x" * size) for size in (100, 50_000)])
async def test_a_body_that_its_handler_does_not_take_is_not_read(http, application, chunk):
    application.may_read.clear()
    rest = POST + chunk * (1_000_000 // len(chunk)) + b"0\r\n\r\n"
    bodies = []

    def send():
        nonlocal rest
        bodies.append(len(http.cycle.body) if http.cycle else 0)
        if http.transport.is_read and rest:
            read, rest = rest[:256_000], rest[256_000:]
            http.data_received(read)

    async def stalls():
        for _ in range(100):
            send()
            await asyncio.sleep(0)

    await stalls()
    assert len(rest) > 500_000
    application.may_read.set()
    await turns_until(lambda: application.served, send)
    size = int(chunk.partition(b"\r\n")[0], 16)
    assert application.served == [("/", size * (1_000_000 // len(chunk)))]
    assert max(bodies) <= HIGH_WATER_LIMIT + PIECE_BYTES
    await turns_until(lambda: http.transport.is_read)


async def test_an_answer_before_the_body_was_taken_lets_the_connection_go_on(http, application):
    async def answer_at_once(scope, receive, send):
        if scope["path"] == "/early":
            await application.may_answer.wait()
            await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await application(scope, receive, send)

    http.app = answer_at_once
    application.may_answer.clear()
    http.data_received(b"POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000)
    await turns_until(lambda: len(http.cycle.body) > HIGH_WATER_LIMIT)
    assert not http.transport.is_read
    application.may_answer.set()
    await turns_until(lambda: http.transport.is_read)
    http.data_received(GET)
    await turns_until(lambda: application.served == [("/", 0)])


async def test_a_lost_connection_leaves_nothing_to_the_collector(application):
    http = opened(application)
    tasks = http.tasks
    http.data_received(GET)
    await turns_until(lambda: application.served and not tasks)
    http.connection_lost(None)
    lost = weakref.ref(http)
    gc.disable()
    try:
        del http
        assert lost() is None
    finally:
        gc.enable()


async def test_a_refused_client_is_read_once_a_turn(http):
    http.data_received(b"NONSENSE\r\n\r\n")
    assert b" 400 " in http.transport.written
    http.data_received(bytes(256_000))
    assert not http.transport.is_read
    await asyncio.sleep(0)
    assert http.transport.is_read


async def test_a_long_handshake_opens_a_websocket_behind_a_request(http, application):
    handshake = (
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nCookie: %b\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n" % (b"a" * 5000)
    )
    http.data_received(GET + handshake)
    await turns_until(lambda: b" 101 " in http.transport.written)
    assert application.served == [("/", 0)]
    assert isinstance(http.transport.protocol, LeanWebSocket)
    await turns_until(lambda: http.transport.is_read)
    http.transport.protocol.connection_lost(None)
