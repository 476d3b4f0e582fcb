"""The measuring client against a real websocket server: the floor of the benchmarks."""

import asyncio
import json

import pytest
import pytest_asyncio

from load.benchmarks.fanout import Counter, Subscriber
from load.benchmarks.floor import Floor, text_frame
from load.client import SocketClosedError, open_socket
from load.waiting import gather_some, wait_until
from load.wire import websocket_url


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def url():
    server = await asyncio.get_running_loop().create_server(Floor, "127.0.0.1", 0)
    yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/connection/websocket"
    server.close()


async def test_rpc_returns_the_answer_of_its_own_call(url):
    socket = await open_socket(url)
    answers = await asyncio.gather(*(socket.rpc("echo", {"n": n}) for n in range(50)))
    assert [json.loads(bytes(answer)) for answer in answers] == [{"n": n} for n in range(50)]
    socket.close()


@pytest.mark.parametrize("size", [10, 200, 70_000])
async def test_message_of_every_frame_size_survives(url, size):
    socket = await open_socket(url)
    assert json.loads(bytes(await socket.rpc("echo", "x" * size))) == "x" * size
    socket.close()


async def test_joined_publications_arrive_one_by_one_and_in_order(url):
    seen = []
    socket = await open_socket(url, on_publication=lambda _, channel, pub: seen.append((channel, pub)))
    start = (await socket.subscribe("auctions:1")).offset
    await socket.rpc("publish", {"channel": "auctions:1", "items": [{"a": 1}, {"a": 2}, {"a": 3}]})
    assert await wait_until(lambda: len(seen) == 3, 2)
    assert [pub.offset - start for _, pub in seen] == [1, 2, 3]
    assert [json.loads(bytes(pub.data))["a"] for _, pub in seen] == [1, 2, 3]
    socket.close()


async def test_counting_subscriber_counts_every_publication_of_a_joined_frame(url):
    counter = Counter()
    subscriber = await open_socket(url, make=Subscriber)
    await subscriber.subscribe("auctions:1")
    subscriber.counter = counter
    publisher = await open_socket(url)
    await publisher.rpc("publish", {"channel": "auctions:1", "items": [{"a": n} for n in range(10)]})
    await publisher.rpc("publish", {"channel": "auctions:1", "items": [{"a": 11}]})
    assert await wait_until(lambda: counter.deliveries == 11, 2)
    subscriber.close()
    publisher.close()


async def test_call_on_a_closed_socket_is_refused_and_waiting_calls_fail(url):
    socket = await open_socket(url)
    waiting = asyncio.ensure_future(socket.rpc("echo", 1))
    await asyncio.sleep(0)
    socket.close()
    with pytest.raises(SocketClosedError):
        await waiting
    with pytest.raises(SocketClosedError):
        await socket.rpc("echo", 2)


async def test_gather_some_keeps_order_and_its_bound():
    running = most = 0

    async def job(n):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001 * (n % 3))
        running -= 1
        return n

    assert await gather_some([lambda n=n: job(n) for n in range(20)], at_once=4) == list(range(20))
    assert most == 4


async def test_gather_some_raises_the_first_error_itself():
    async def fail():
        raise KeyError("first")

    with pytest.raises(KeyError):
        await gather_some([fail])


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/connection/websocket"),
        ("https://m.example/", "wss://m.example/connection/websocket"),
        ("https://m.example/market", "wss://m.example/market/connection/websocket"),
    ],
)
def test_websocket_url_follows_the_rest_url(base, expected):
    assert websocket_url(base) == expected


@pytest.mark.parametrize(("size", "header"), [(125, 2), (126, 4), (65_535, 4), (65_536, 10)])
def test_floor_frames_have_the_shortest_header(size, header):
    assert len(text_frame(b"x" * size)) == size + header
