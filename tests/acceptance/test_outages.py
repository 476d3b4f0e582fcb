"""An engine is away: commands answer a temporary error within two seconds, and recovery needs nobody."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from centrifuge import CentrifugeError, ReplyError

from tests.support.players import Player, Socket, bid_until_answered, open_auction, sign_up
from tests.support.system import System, running_system, scratch_home

# the SDK forgets a connection that it was making when the server was killed
pytestmark = [pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"), pytest.mark.slow]


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with (
        scratch_home() as home,
        running_system(home, processes=2, environment={"MNBARA_RATE_LIMITS": "off"}) as running,
    ):
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def http(system: System) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=system.base_url, timeout=20, trust_env=False) as client:
        yield client


def family(pid: int) -> list[int]:
    """A process and its children: PostgreSQL is one process per connection."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(int(child) for child in children)]


class Frozen:
    """An engine that stands still: it neither answers nor refuses, the worst kind of outage."""

    def __init__(self, system: System, name: str) -> None:
        self.pids = family(system.pids()[name])

    def __enter__(self) -> None:
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        for pid in reversed(self.pids):
            os.kill(pid, signal.SIGCONT)


async def until_ready(http: httpx.AsyncClient, degraded: tuple[str, ...] = ()) -> None:
    """Wait until a process says that it serves, without these parts."""
    async with asyncio.timeout(20):
        while True:
            answer = await http.get("/health/ready")
            if answer.status_code == 200 and answer.json()["degraded"] == list(degraded):
                return
            await asyncio.sleep(0.1)


async def bid_over_rest(bidder: Player, auction_id: str, amount: int, key: str) -> None:
    answer = await bidder.post(f"/v1/auctions/{auction_id}/bids", {"amount": amount}, key=key)
    assert answer.status_code == 201, answer.text


async def test_while_postgres_stands_still_commands_fail_temporarily_within_two_seconds(system, http):
    seller, bidder = await sign_up(http, "seller"), await sign_up(http)
    auction = await open_auction(seller)
    async with Socket(system.websocket_url, bidder.tokens["access_token"]) as socket:
        watcher = await socket.watch(f"auctions:{auction['id']}")
        with Frozen(system, "postgres"):
            for key in ("a", "b", "c"):
                began = time.monotonic()
                with pytest.raises(ReplyError) as refused:
                    await socket.rpc("auctions.place_bid", auction_id=auction["id"], amount=2000, key=key)
                assert time.monotonic() - began < 2.0
                assert refused.value.temporary
            began = time.monotonic()
            answer = await bidder.post(f"/v1/auctions/{auction['id']}/bids", {"amount": 2000}, key="d")
            assert time.monotonic() - began < 2.5
            assert answer.status_code == 503
            assert answer.json()["code"] == "temporarily_unavailable"
            assert "retry-after" in answer.headers
            ready = await http.get("/health/ready")
            assert ready.status_code == 503
            assert (await http.get("/health/live")).status_code == 200
        placed = await bid_until_answered(socket, auction["id"], 3000, "later")
        assert isinstance(placed, dict)
        await watcher.until(placed["offset"])
        watcher.assert_saw_every_number_once()
    await until_ready(http)


async def test_while_redis_stands_still_bids_are_placed_and_seen_on_every_process(system, http):
    seller = await sign_up(http, "seller")
    bidder = await sign_up(http)
    auction = await open_auction(seller)
    sockets = [
        await Socket(system.websocket_url, bidder.tokens["access_token"]).__aenter__() for _ in range(6)
    ]
    watchers = [await socket.watch(f"auctions:{auction['id']}") for socket in sockets]
    with Frozen(system, "redis"):
        await asyncio.sleep(0.1)
        for n, socket in enumerate(sockets):
            placed = await socket.rpc(
                "auctions.place_bid", auction_id=auction["id"], amount=2000 + n * 1000, key=f"r{n}"
            )
        for watcher in watchers:
            await watcher.until(placed["offset"], timeout_s=15)
            watcher.assert_saw_every_number_once()
        async with Socket(system.websocket_url, bidder.tokens["access_token"]) as late:
            latecomer = await late.watch(f"auctions:{auction['id']}")
            assert latecomer.started_at == placed["offset"]
        await until_ready(http, degraded=("redis",))
        await bid_over_rest(bidder, auction["id"], 20_000, "rest")
    for socket in sockets:
        await socket.__aexit__()
    await until_ready(http)


async def test_when_redis_and_postgres_stand_still_for_too_long_sockets_are_told_and_recover_afterwards(
    system, http
):
    seller, bidder = await sign_up(http, "seller"), await sign_up(http)
    auction = await open_auction(seller)
    async with (
        Socket(system.websocket_url) as onlooker,
        Socket(system.websocket_url, bidder.tokens["access_token"]) as socket,
    ):
        watchers = [await s.watch(f"auctions:{auction['id']}") for s in (onlooker, socket)]
        with Frozen(system, "redis"), Frozen(system, "postgres"):
            async with asyncio.timeout(60):
                while not all((3010, "insufficient state") in s.codes for s in (onlooker, socket)):
                    await asyncio.sleep(0.05)
            refused = await http.get(
                "/connection/websocket",
                headers={
                    "Connection": "Upgrade",
                    "Upgrade": "websocket",
                    "Sec-WebSocket-Version": "13",
                    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
                },
            )
            assert refused.status_code == 503
            assert "retry-after" in refused.headers
            assert "behind" in refused.json()["detail"]
        await until_ready(http)
        await asyncio.gather(*(s.client.ready(timeout=30) for s in (onlooker, socket)))
        for amount in (3000, 4000):
            await bid_over_rest(bidder, auction["id"], amount, f"after-{amount}")
        for watcher in watchers:
            await watcher.until(3, timeout_s=30)
            watcher.assert_saw_every_number_once()
    async with asyncio.timeout(60):  # processes copy their counters every few seconds
        while await shown_cuts(http) < 2:
            await asyncio.sleep(0.2)


async def shown_cuts(http) -> float:
    shown = (await http.get("/metrics")).text
    cuts = [line for line in shown.splitlines() if line.startswith("mnbara_unvouched_cuts_total ")]
    return float(cuts[0].split()[1]) if cuts else 0.0


async def test_while_nats_stands_still_bidding_goes_on(system, http):
    seller, bidder = await sign_up(http, "seller"), await sign_up(http)
    auction = await open_auction(seller)
    async with (
        Socket(system.websocket_url, bidder.tokens["access_token"]) as socket,
        Socket(system.websocket_url) as other,
    ):
        watcher = await other.watch(f"auctions:{auction['id']}")
        with Frozen(system, "nats"):
            placed = await socket.rpc("auctions.place_bid", auction_id=auction["id"], amount=2000, key="n")
            await watcher.until(placed["offset"], timeout_s=5)
            await until_ready(
                http, degraded=("nats", "nats_stream")
            )  # each process keeps what it learned for a moment
            await bid_over_rest(bidder, auction["id"], 20_000, "rest")
    await until_ready(http)


async def test_a_bid_that_was_under_way_when_the_process_died_counts_once_when_repeated(system, http):
    seller, bidder = await sign_up(http, "seller"), await sign_up(http)
    auction = await open_auction(seller)
    async with Socket(system.websocket_url, bidder.tokens["access_token"]) as socket:
        flying = []
        for n in range(40):  # the earlier ones are answered by then, of the last ones none can be
            bid = socket.rpc(
                "auctions.place_bid", auction_id=auction["id"], amount=2000 + n * 500, key=f"k{n}"
            )
            flying.append(asyncio.create_task(bid))
            await asyncio.sleep(0 if n % 8 else 0.001)
        for pid in system.server_pids():
            os.kill(pid, signal.SIGKILL)
        first = await asyncio.gather(*flying, return_exceptions=True)
        assert any(isinstance(result, CentrifugeError) for result in first)
        again = [await bid_until_answered(socket, auction["id"], 2000 + n * 500, f"k{n}") for n in range(40)]
        for before, after in zip(first, again, strict=True):
            if isinstance(before, dict):
                assert isinstance(after, dict)
                assert (after["bid_id"], after["offset"]) == (before["bid_id"], before["offset"])
        acked = {answer["bid_id"] for answer in again if isinstance(answer, dict)}
        state = (await http.get(f"/v1/auctions/{auction['id']}")).json()
        assert state["bid_count"] == len(acked)
