"""Redis stands still, neither dead nor answering: watchers of other processes are no further behind than without it."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from centrifuge import PublicationContext

from tests.acceptance.test_outages import Frozen, until_ready
from tests.support.players import Socket, Watcher, open_auction, sign_up
from tests.support.system import System, running_system, scratch_home

pytestmark = [pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"), pytest.mark.slow]

SOCKETS = 8
"""So many that both processes have some."""

BIDS = 120
"""Over about six seconds: longer than a dead connection to Redis goes unnoticed."""


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with (
        scratch_home() as home,
        running_system(home, processes=2, environment={"MNBARA_RATE_LIMITS": "off"}) as running,
    ):
        yield running


@dataclass
class TimedWatcher(Watcher):
    """Keeps when it saw each amount: as a bid of an auction's channel, or as the price of its ticker."""

    times: dict[int, float] = field(default_factory=dict)

    async def on_publication(self, ctx: PublicationContext) -> None:
        await super().on_publication(ctx)
        self.times[ctx.pub.offset] = time.monotonic()

    def behind(self, number: int, answered_at: float) -> float:
        """Return how long after the answer this or a newer value was seen."""
        return min(at for seen, at in self.times.items() if seen >= number) - answered_at


async def watch(socket: Socket, channel: str) -> TimedWatcher:
    watcher = TimedWatcher()
    watcher.subscription = socket.client.new_subscription(channel, events=watcher)
    await watcher.subscription.subscribe()
    await watcher.subscription.ready(timeout=10)
    return watcher


async def bid_and_time(socket: Socket, auction_id: str, watchers: list[TimedWatcher]) -> list[float]:
    """Return how long after its answer each bid was seen by each watcher, ascending."""
    answered = {}
    for n in range(BIDS):
        placed = await socket.rpc(
            "auctions.place_bid", auction_id=auction_id, amount=2000 + n * 500, key=f"k{n}"
        )
        answered[placed["offset"]] = time.monotonic()
        await asyncio.sleep(0.05)
    for watcher in watchers:
        await watcher.until(max(answered), timeout_s=60)
    return sorted(watcher.behind(number, at) for watcher in watchers for number, at in answered.items())


async def test_watchers_are_less_than_a_second_behind_while_redis_stands_still(system):
    async with httpx.AsyncClient(base_url=system.base_url, timeout=20, trust_env=False) as http:
        seller, bidder = await sign_up(http, "seller"), await sign_up(http)
        auction = await open_auction(seller)
        token = bidder.tokens["access_token"]
        sockets = [await Socket(system.websocket_url, token).__aenter__() for _ in range(SOCKETS)]
        events = [await watch(socket, f"auctions:{auction['id']}") for socket in sockets]
        prices = [await watch(socket, f"ticker:{auction['id']}") for socket in sockets]
        with Frozen(system, "redis"):
            behind = await bid_and_time(sockets[0], auction["id"], [*events, *prices])
        assert behind[len(behind) * 99 // 100] < 1.0
        for watcher in events:
            watcher.assert_saw_every_number_once()
        for socket in sockets:
            await socket.__aexit__()
        await until_ready(http)
