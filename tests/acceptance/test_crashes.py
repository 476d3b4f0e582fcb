"""kill -9 in the middle of bidding: every acked bid is there, prices never fall, nobody misses or doubles an event."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio
from centrifuge import ReplyError

from tests.support.players import Player, Socket, Watcher, bid_until_answered, open_auction, sign_up
from tests.support.system import System, running_system, scratch_home

# the SDK forgets a connection that it was making when the server was killed
pytestmark = [pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"), pytest.mark.slow]

VICTIMS = ["server-0", "worker", "redis", "nats", "server-1", "postgres", "server-0"]


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


class Bidder:
    """Bids again and again with the official SDK, each bid under one key until it is answered."""

    def __init__(self, player: Player, socket: Socket) -> None:
        self.player = player
        self.socket = socket
        self.acked: list[tuple[str, dict]] = []
        self.refused: list[ReplyError] = []

    async def run(self, auctions: list[str], stop: asyncio.Event) -> None:
        number = 0
        amount = dict.fromkeys(auctions, 1000)
        while not stop.is_set():
            auction = random.choice(auctions)
            number += 1
            amount[auction] += random.randrange(100, 20_000)
            answer = await bid_until_answered(
                self.socket, auction, amount[auction], f"{self.player.user_id[-8:]}-{number}"
            )
            if isinstance(answer, ReplyError):
                self.refused.append(answer)
                amount[auction] += 10_000
            else:
                self.acked.append((auction, answer))
            await asyncio.sleep(random.uniform(0, 0.02))


async def kill_one_after_another(system: System, pause_s: float) -> None:
    for name in VICTIMS:
        await asyncio.sleep(pause_s)
        await asyncio.to_thread(system.kill, name)


def assert_prices_never_fall(watcher: Watcher) -> None:
    prices = [data["price"] for _, data in watcher.seen if data["type"] == "bid_placed"]
    assert prices == sorted(prices)


async def all_bids(http: httpx.AsyncClient, auction_id: str) -> list[dict]:
    bids: list[dict] = []
    cursor = ""
    while True:
        page = (await http.get(f"/v1/auctions/{auction_id}/bids?limit=100{cursor}")).json()
        bids += page["items"]
        if not page["next_cursor"]:
            return bids
        cursor = f"&cursor={page['next_cursor']}"


@pytest.mark.timeout(180)
async def test_every_acked_bid_survives_and_every_watcher_sees_every_event_once(system, http):
    seller = await sign_up(http, "seller")
    auctions = [(await open_auction(seller))["id"] for _ in range(3)]
    players = [await sign_up(http, "bidder") for _ in range(6)]
    async with asyncio.TaskGroup() as group:
        sockets = [
            Socket(system.websocket_url, p.tokens["access_token"], protobuf=n % 2 == 0)
            for n, p in enumerate(players)
        ]
        for socket in sockets:
            group.create_task(socket.__aenter__())
    watching = [await Socket(system.websocket_url).__aenter__() for _ in range(4)]
    watchers = {
        auction: [await socket.watch(f"auctions:{auction}") for socket in watching] for auction in auctions
    }
    bidders = [Bidder(player, socket) for player, socket in zip(players, sockets, strict=True)]
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for bidder in bidders:
            group.create_task(bidder.run(auctions, stop))
        await kill_one_after_another(system, pause_s=1.5)
        await asyncio.sleep(1.5)
        stop.set()

    acked = [ack for bidder in bidders for ack in bidder.acked]
    assert len(acked) > 100, f"{len(acked)} acks\n{system.logs()}"
    assert all(refusal.code == 702 or "bid_too_low" in str(refusal) for b in bidders for refusal in b.refused)
    for auction in auctions:
        state = (await http.get(f"/v1/auctions/{auction}")).json()
        stored = await all_bids(http, auction)
        stored_ids = {bid["bid_id"] for bid in stored}
        acked_here = [answer for where, answer in acked if where == auction]
        assert {answer["bid_id"] for answer in acked_here} == stored_ids
        assert len(stored) == len(stored_ids) == state["bid_count"]
        offsets = [answer["offset"] for answer in acked_here]
        assert len(set(offsets)) == len(offsets)
        assert state["price"] >= max(answer["price"] for answer in acked_here)
        for watcher in watchers[auction]:
            await watcher.until(state["position"]["offset"])
            watcher.assert_saw_every_number_once()
            assert all(watcher.recoveries), watcher.recoveries
            assert_prices_never_fall(watcher)
    for socket in [*sockets, *watching]:
        await socket.__aexit__()
