"""SIGTERM to each server process in turn under load: nobody loses, doubles or misses anything; every retry succeeds."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio
from centrifuge import CentrifugeError, ReplyError

from tests.support.players import Socket, open_auction, sign_up
from tests.support.streams import Stream, open_stream
from tests.support.system import System, running_system, scratch_home

pytestmark = pytest.mark.slow

DRAIN_S = 1


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    environment = {"MNBARA_RATE_LIMITS": "off", "MNBARA_DRAIN_S": str(DRAIN_S)}
    with (
        scratch_home() as home,
        running_system(home, processes=2, environment=environment) as running,
    ):
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def http(system: System) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=system.base_url, timeout=20, trust_env=False) as client:
        yield client


class Bidder:
    """Bids as fast as it is answered; keeps what was acknowledged, and what went wrong on the way there."""

    def __init__(self, name: str, socket: Socket) -> None:
        self.name, self.socket = name, socket
        self.acked: list[tuple[str, dict]] = []
        self.refused: list[ReplyError] = []
        self.retried = 0

    async def run(self, auctions: list[str], stop: asyncio.Event) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            auction = random.choice(auctions)
            answer = await self.bid(auction, number * 1000 + random.randrange(1000), f"{self.name}-{number}")
            if isinstance(answer, ReplyError):
                self.refused.append(answer)
            else:
                self.acked.append((auction, answer))
            await asyncio.sleep(0.005)

    async def bid(self, auction: str, amount: int, key: str) -> dict | ReplyError:
        async with asyncio.timeout(30):
            while True:
                try:
                    return await self.socket.rpc(
                        "auctions.place_bid", auction_id=auction, amount=amount, key=key
                    )
                except ReplyError as refusal:
                    if not refusal.temporary:
                        return refusal
                except (CentrifugeError, TimeoutError):
                    pass
                self.retried += 1
                await asyncio.sleep(0.02)


def starts(system: System, name: str) -> int:
    """Return how often a process has begun to serve."""
    return (system.home / "logs" / f"{name}.log").read_text().count('"serving"')


async def restart(system: System, name: str) -> float:
    """Ask a process to end and wait until its successor serves; return the seconds the end took."""
    served, began = starts(system, name), time.monotonic()
    await asyncio.to_thread(system.kill, name, signal.SIGTERM)
    took = time.monotonic() - began
    async with asyncio.timeout(20):
        while starts(system, name) == served:
            await asyncio.sleep(0.05)
    return took


@pytest.mark.timeout(150)
async def test_a_rolling_restart_loses_no_bid_and_no_event_and_no_command_fails_for_good(system, http):
    seller = await sign_up(http, "seller")
    auctions = [(await open_auction(seller))["id"] for _ in range(4)]
    players = [await sign_up(http, "bidder") for _ in range(4)]
    bidding = [
        await Socket(system.websocket_url, p.tokens["access_token"], protobuf=n % 2 == 0).__aenter__()
        for n, p in enumerate(players)
    ]
    watching = [await Socket(system.websocket_url, protobuf=n % 2 == 1).__aenter__() for n in range(40)]
    watchers = [[await socket.watch(f"auctions:{auction}") for auction in auctions] for socket in watching]
    bidders = [Bidder(p.user_id[-8:], s) for p, s in zip(players, bidding, strict=True)]
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for bidder in bidders:
            group.create_task(bidder.run(auctions, stop))
        for name in ("server-0", "server-1"):
            await asyncio.sleep(0.5)
            assert DRAIN_S * 0.5 < await restart(system, name) < DRAIN_S + 8
        await asyncio.sleep(0.5)
        stop.set()

    acked = [ack for bidder in bidders for ack in bidder.acked]
    assert len(acked) > 100, f"{len(acked)} acks\n{system.logs()}"
    assert all("bid_too_low" in str(refusal) for b in bidders for refusal in b.refused)
    left = [code for socket in [*bidding, *watching] for code in socket.codes if code[0] >= 3000]
    assert {code for code, _reason in left} == {3001}
    assert len(left) >= 40  # every socket stood on one of the two
    for index, auction in enumerate(auctions):
        state = (await http.get(f"/v1/auctions/{auction}")).json()
        offsets = [answer["offset"] for where, answer in acked if where == auction]
        assert len(set(offsets)) == len(offsets) == state["bid_count"]
        for one in watchers:
            await one[index].until(state["position"]["offset"])
            one[index].assert_saw_every_number_once()
            assert one[index].numbers[-1] == state["position"]["offset"]
            assert all(one[index].recoveries)
            assert set(offsets) <= set(one[index].numbers)
    for socket in [*bidding, *watching]:
        await socket.__aexit__()


async def test_an_ending_process_is_not_ready_first_and_ends_streams_with_their_reason(system):
    names = ["server-0", "server-1"]
    served = {name: starts(system, name) for name in names}
    pids = system.pids()
    async with contextlib.AsyncExitStack() as stack:

        async def connect(kind: str) -> Stream:
            http = httpx.AsyncClient(base_url=system.base_url, trust_env=False)
            stream = await stack.enter_async_context(open_stream(await stack.enter_async_context(http), kind))
            await stream.connected()
            return stream

        streams = [await connect("sse" if n % 2 else "http_stream") for n in range(20)]
        assert len({stream.node for stream in streams}) == 2
        kept = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=system.base_url, trust_env=False))
            for _ in range(4)
        ]
        for client in kept:
            assert (await client.get("/health/ready")).status_code == 200
        for name in names:
            os.kill(pids[name], signal.SIGTERM)
        await asyncio.sleep(0.1)
        for client in kept:  # on connections that are open already; new ones would find nobody
            answer = await client.get("/health/ready")
            assert (answer.status_code, answer.json()["status"]) == (503, "leaving")
            assert answer.headers["connection"] == "close"
        assert [await stream.goodbye() for stream in streams] == [3001] * 20
    async with asyncio.timeout(30):
        while any(starts(system, name) == served[name] for name in names):
            await asyncio.sleep(0.05)


async def test_no_new_connection_falls_between_an_ending_process_and_the_others(system):
    """A connection the kernel has given to the ending process already is served by it, a later one by the others."""
    port, outcomes, stop = system.port, [], asyncio.Event()
    resets = []
    """A handshake that ends between the last `accept` and the end of the listener is reset by the kernel."""
    request = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"

    async def connect_for_ever() -> None:
        while not stop.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionResetError:
                resets.append(len(outcomes))
                continue
            try:
                writer.write(request)
                outcomes.append((await reader.read())[9:12])
                writer.close()
            except OSError as error:
                outcomes.append(repr(error))

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(connect_for_ever())
        for name in ("server-0", "server-1"):
            await asyncio.sleep(0.3)
            await restart(system, name)
        stop.set()
    assert len(outcomes) > 500
    assert len(resets) <= max(2, len(outcomes) // 1000)
    assert set(outcomes) == {b"200"}, {str(one): outcomes.count(one) for one in set(outcomes)}
