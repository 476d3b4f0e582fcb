"""What code of any process, also one without sockets, wants done with a user's sockets is done in every process."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from protocols.control import (
    CONTROL_CHANNEL,
    Control,
    DisconnectSession,
    DisconnectUser,
    SubscribeUser,
    UnsubscribeUser,
    encode_controls,
)
from protocols.topics import Entry
from storage.platform.bus_redis import RedisBus
from tests.support.players import Player, Socket, open_auction, sign_up
from tests.support.system import System, running_system, scratch_home

SOCKETS = 12


@pytest.fixture(scope="module")
def system(database: str, redis_url: str, nats_url: str) -> Iterator[System]:
    environment = {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": nats_url,
        "MNBARA_RATE_LIMITS": "off",
    }
    with scratch_home() as home, running_system(home, processes=2, environment=environment) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def http(system: System) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=system.base_url, timeout=20, trust_env=False) as client:
        yield client


class Worker:
    """A process without sockets, as far as the others can see: a bus that hears nothing."""

    def __init__(self, bus: RedisBus) -> None:
        self._bus = bus

    def tell(self, *controls: Control) -> None:
        self._bus.publish([(CONTROL_CHANNEL, [Entry(0, encode_controls(controls), 0)])])


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def worker(redis_url: str) -> AsyncIterator[Worker]:
    bus = RedisBus(redis_url)
    await bus.start(lambda _channel, _entries: None, lambda: None)
    yield Worker(bus)
    await bus.close()


class Guest(Socket):
    """A socket that remembers which channels the server took it into and out of."""

    def __init__(self, *given: str) -> None:
        super().__init__(*given)
        self.told: list[tuple[str, str]] = []

    async def on_subscribed(self, ctx) -> None:
        self.told.append(("in", ctx.channel))

    async def on_unsubscribed(self, ctx) -> None:
        self.told.append(("out", ctx.channel))


async def open_guests(system: System, player: Player, count: int = SOCKETS) -> list[Guest]:
    """Connect so often that both processes have some (the kernel spreads them)."""
    guests = [Guest(system.websocket_url, player.tokens["access_token"]) for _ in range(count)]
    for guest in guests:
        await guest.__aenter__()
        guest.codes.clear()
        guest.told.clear()
    return guests


async def all_have(guests: list[Guest], told: object, begun: float) -> float:
    async with asyncio.timeout(5):
        while any(told not in [*guest.told, *guest.codes] for guest in guests):
            await asyncio.sleep(0.005)
    return time.monotonic() - begun


async def test_user_is_taken_in_and_out_of_a_channel_in_every_process(
    system: System, http: httpx.AsyncClient, worker: Worker
) -> None:
    auction = await open_auction(await sign_up(http, "seller"))
    channel = f"auctions:{auction['id']}"
    player, stranger = await sign_up(http), await sign_up(http)
    guests, others = await open_guests(system, player), await open_guests(system, stranger, 2)
    begun = time.monotonic()
    worker.tell(SubscribeUser(player.user_id, channel))
    assert await all_have(guests, ("in", channel), begun) < 1
    begun = time.monotonic()
    worker.tell(UnsubscribeUser(player.user_id, channel))
    assert await all_have(guests, ("out", channel), begun) < 1
    worker.tell(SubscribeUser(player.user_id, f"personal:#{stranger.user_id}"))  # the application refuses
    await asyncio.sleep(0.2)
    assert [guest.told for guest in guests] == [[("in", channel), ("out", channel)]] * SOCKETS
    assert [guest.told for guest in others] == [[], []]
    for guest in guests + others:
        await guest.__aexit__()


async def test_user_or_one_session_is_disconnected_in_every_process(
    system: System, http: httpx.AsyncClient, worker: Worker
) -> None:
    player = await sign_up(http)
    answer = await http.post(
        "/v1/auth/login", json={"email": player.email, "password": "correct horse battery"}
    )
    other = Player(http, player.user_id, player.email, answer.json()["tokens"])
    session = (await other.get("/v1/auth/sessions")).json()["items"]
    ended = next(item["id"] for item in session if item["current"])
    staying, leaving = await open_guests(system, player), await open_guests(system, other)
    begun = time.monotonic()
    worker.tell(DisconnectSession(ended, 4501, "session over"))
    assert await all_have(leaving, (4501, "session over"), begun) < 1
    assert not any(guest.codes for guest in staying)
    begun = time.monotonic()
    worker.tell(DisconnectUser(player.user_id, 3503, "force disconnect"))
    assert await all_have(staying, (3503, "force disconnect"), begun) < 1
    for guest in staying + leaving:
        await guest.__aexit__()
