"""A link to a live auction: guests follow it by a scope token over both doors, as long as who made it may."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any, Self
from uuid import UUID

import asyncpg
import httpx
import pytest
from centrifuge import Subscription, SubscriptionEventHandler
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from server.local.engines import LocalEngines
from tests.support.players import PASSWORD, Player, Socket, open_auction, sign_up
from tests.support.system import System
from tests.support.waiting import until

GUESTS = 10
"""So many that both processes have some (the kernel spreads them)."""


class Seat(SubscriptionEventHandler):
    """One guest's subscription: what it saw, and how it ended."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.ended: list[int] = []
        self.asked = 0
        self.subscription: Subscription | None = None

    async def on_publication(self, ctx: Any) -> None:
        self.seen.append(ctx.pub.offset)

    async def on_subscribing(self, ctx: Any) -> None:
        self.ended.append(ctx.code)

    async def on_unsubscribed(self, ctx: Any) -> None:
        self.ended.append(ctx.code)


class Party:
    """Guests without an account who follow one channel by one token."""

    def __init__(self, system: System, channel: str, token: str) -> None:
        self._system, self.channel, self.token = system, channel, token
        self._sockets: list[Socket] = []
        self.seats: list[Seat] = []

    async def __aenter__(self) -> Self:
        for _ in range(GUESTS):
            socket = await Socket(self._system.websocket_url).__aenter__()
            self._sockets.append(socket)
            seat = Seat()

            async def no_more(_ctx: Any, seat: Seat = seat) -> str:
                seat.asked += 1
                return ""

            seat.subscription = socket.client.new_subscription(
                self.channel, events=seat, token=self.token, get_token=no_more
            )
            await seat.subscription.subscribe()
            await seat.subscription.ready(timeout=10)
            seat.ended.clear()
            self.seats.append(seat)
        return self

    async def __aexit__(self, *_: object) -> None:
        for socket in self._sockets:
            await socket.__aexit__()

    async def all_ended(self, begun: float) -> float:
        """Return how long it took until every guest was told that the token is over."""
        async with asyncio.timeout(5):
            while not all(2501 in seat.ended for seat in self.seats):
                await asyncio.sleep(0.005)
        return time.monotonic() - begun


class Talker:
    """A guest who says each command themselves."""

    def __init__(self, ws: ClientConnection) -> None:
        self._ws = ws
        self._commands = 0
        self._pushes: list[dict[str, Any]] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, system: System) -> AsyncIterator["Talker"]:
        async with connect(system.websocket_url) as ws:
            guest = cls(ws)
            await guest.ask(connect={})
            yield guest

    async def ask(self, **request: Any) -> dict[str, Any]:
        self._commands += 1
        await self._ws.send(json.dumps({"id": self._commands, **request}))
        while (message := await self._next()).get("id") != self._commands:
            self._pushes.append(message)
        return message

    async def push(self, kind: str) -> dict[str, Any]:
        while True:
            message = self._pushes.pop(0) if self._pushes else await self._next()
            if kind in message.get("push", {}):
                return message["push"]

    async def _next(self) -> dict[str, Any]:
        async with asyncio.timeout(5):
            text = await self._ws.recv()
        first, *more = [json.loads(line) for line in str(text).split("\n") if line]
        self._pushes += more
        return first


async def lend(player: Player, *channels: str, **wishes: Any) -> dict[str, Any]:
    answer = await player.post("/v1/auth/scope-tokens", {"channels": list(channels), **wishes})
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
async def host(shared_http: httpx.AsyncClient) -> Player:
    return await sign_up(shared_http, "host")


@pytest.fixture
async def admin(shared_http: httpx.AsyncClient, shared_system: System) -> Player:
    player = await sign_up(shared_http, "admin")
    db = await asyncpg.connect(LocalEngines(shared_system.home).postgres_url("mnbara"))
    await db.execute(
        "UPDATE users SET roles = array_append(roles, 'admin') WHERE user_id = $1", UUID(player.user_id)
    )
    await db.close()
    answer = await shared_http.post("/v1/auth/login", json={"email": player.email, "password": PASSWORD})
    return Player(shared_http, player.user_id, player.email, answer.json()["tokens"])


async def test_guests_follow_an_auction_by_its_link(shared_system, shared_http, host):
    auction = await open_auction(await sign_up(shared_http, "seller"))
    channel = f"auctions:{auction['id']}"
    bidder = await sign_up(shared_http)
    async with Party(shared_system, channel, (await lend(host, channel))["token"]) as party:
        for number, amount in enumerate((2000, 3000, 4000)):
            body = {"auction_id": auction["id"], "amount": amount}
            answer = await bidder.post(f"/v1/auctions/{auction['id']}/bids", body, key=str(number))
            assert answer.status_code == 201, answer.text
        await until(lambda: all(len(seat.seen) == 3 for seat in party.seats))
        assert not any(seat.ended for seat in party.seats)


async def logout(player: Player, _admin: Player) -> None:
    assert (await player.post("/v1/auth/logout", {})).status_code == 200


async def ban(player: Player, admin: Player) -> None:
    path = f"/v1/users/{player.user_id}/ban"
    assert (await admin.post(path, {"reason": "fraud"})).status_code == 200


async def promote(player: Player, admin: Player) -> None:
    path = f"/v1/users/{player.user_id}/roles"
    answer = await admin.http.put(path, json={"roles": ["support"]}, headers=admin.headers)
    assert answer.status_code == 200


@pytest.mark.parametrize("end", [logout, ban, promote])
async def test_what_ends_the_hosts_access_ends_every_guests_within_a_second(
    shared_system, shared_http, host, admin, end
):
    auction = await open_auction(await sign_up(shared_http, "seller"))
    channel = f"auctions:{auction['id']}"
    token = (await lend(host, "auctions:*"))["token"]
    async with Party(shared_system, channel, token) as party:
        begun = time.monotonic()
        await end(host, admin)
        assert await party.all_ended(begun) < 1
        # the SDK comes back by itself, is refused, and asks its app for another token
        await until(lambda: all(seat.asked for seat in party.seats))
    answer = await shared_http.get(f"/v1/channels/{channel}/events", headers={"Channel-Token": token})
    assert (answer.status_code, answer.json()["code"]) == (
        401,
        "token_expired" if end is promote else "session_over",
    )


async def test_one_token_that_is_taken_back_ends_its_guests_within_a_second_and_no_others(
    shared_system, shared_http, host
):
    auction = await open_auction(await sign_up(shared_http, "seller"))
    channel = f"auctions:{auction['id']}"
    family, press = [await lend(host, channel, label=label) for label in ("family", "press")]
    async with (
        Party(shared_system, channel, family["token"]) as guests,
        Party(shared_system, channel, press["token"]) as others,
    ):
        begun = time.monotonic()
        path = f"/v1/auth/scope-tokens/{press['id']}"
        answer = await shared_http.delete(path, headers=host.headers)
        assert (answer.status_code, answer.json()) == (200, {"token_id": press["id"]})
        assert await others.all_ended(begun) < 1
        assert not any(seat.ended for seat in guests.seats)
    refused = await shared_http.get(
        f"/v1/channels/{channel}/events", headers={"Channel-Token": press["token"]}
    )
    assert (refused.status_code, refused.json()["code"]) == (401, "scope_token_over")
    listed = (await host.get("/v1/auth/scope-tokens")).json()
    assert [(one["id"], one["label"]) for one in listed["items"]] == [(family["id"], "family")]


async def test_subscription_expires_with_its_token_and_is_refreshed_by_another(
    shared_system, shared_http, host
):
    auction = await open_auction(await sign_up(shared_http, "seller"))
    channel = f"auctions:{auction['id']}"
    async with Talker.open(shared_system) as guest:
        first, second = await lend(host, channel, ttl_s=60), await lend(host, channel, ttl_s=3600)
        subscribed = (await guest.ask(subscribe={"channel": channel, "token": first["token"]}))["subscribe"]
        assert subscribed["expires"]
        assert 55 <= subscribed["ttl"] <= 60
        renewed = (await guest.ask(sub_refresh={"channel": channel, "token": second["token"]}))["sub_refresh"]
        assert 3590 <= renewed["ttl"] <= 3600
        for bad in ("nonsense", host.tokens["access_token"]):
            answer = await guest.ask(sub_refresh={"channel": channel, "token": bad})
            assert answer["error"]["code"] == 103
        other = (await lend(host, "ticker:*"))["token"]
        assert (await guest.ask(sub_refresh={"channel": channel, "token": other}))["error"]["code"] == 103
        # The first token's issuer has gone; the word of the second is the same account's, so it ends as well.
        await logout(host, host)
        told = await guest.push("unsubscribe")
        assert (told["channel"], told["unsubscribe"]["code"]) == (channel, 2501)
        answer = await guest.ask(subscribe={"channel": channel, "token": second["token"]})
        assert answer["error"]["code"] == 109


async def test_token_shows_nothing_but_what_it_names(shared_system, shared_http, host):
    auction, other = [await open_auction(await sign_up(shared_http, "seller")) for _ in range(2)]
    token = (await lend(host, f"auctions:{auction['id']}"))["token"]
    mine = f"personal:#{host.user_id}"
    async with Talker.open(shared_system) as guest:
        for channel in (f"auctions:{other['id']}", f"ticker:{auction['id']}", mine):
            answer = await guest.ask(subscribe={"channel": channel, "token": token})
            assert answer["error"]["code"] == 103
        missing = (await lend(host, "auctions:*"))["token"]
        channel = "auctions:019ab3c0-0000-7000-8000-000000000000"
        assert (await guest.ask(subscribe={"channel": channel, "token": missing}))["error"]["code"] == 102
        assert (await guest.ask(presence={"channel": f"auctions:{auction['id']}"}))["error"]["code"] == 108
    headers = {"Channel-Token": token}
    assert (
        await shared_http.get(f"/v1/channels/{mine}/events".replace("#", "%23"), headers=headers)
    ).status_code == 403
    seen = await shared_http.get(f"/v1/channels/auctions:{auction['id']}/events", headers=headers)
    assert [event["data"]["type"] for event in seen.json()["events"]] == ["auction_opened"]


async def test_neither_token_opens_the_others_door(shared_system, shared_http, host):
    auction = await open_auction(await sign_up(shared_http, "seller"))
    channel = f"auctions:{auction['id']}"
    token = (await lend(host, channel))["token"]
    answer = await shared_http.get("/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
    async with Talker.open(shared_system) as guest:
        answer = await guest.ask(subscribe={"channel": channel, "token": host.tokens["access_token"]})
        assert answer["error"]["code"] == 103
    async with connect(shared_system.websocket_url) as ws:
        await ws.send(json.dumps({"id": 1, "connect": {"token": token}}))
        with contextlib.suppress(ConnectionClosed):
            while True:
                await ws.recv()
        assert ws.close_code == 3500


async def test_a_waiting_poll_ends_with_the_hosts_session(shared_system, shared_http, host):
    auction = await open_auction(await sign_up(shared_http, "seller"))
    path = f"/v1/channels/auctions:{auction['id']}/events?after=1&wait_s=2"
    headers = {"Channel-Token": (await lend(host, "auctions:*"))["token"]}
    poll = asyncio.create_task(shared_http.get(path, headers=headers))
    await asyncio.sleep(0.2)
    await logout(host, host)
    answer = await poll
    assert (answer.status_code, answer.json()["code"]) == (401, "session_over")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "invalid_input"),
        ({"channels": []}, 400, "invalid_input"),
        ({"channels": ["auctions:*"] * 33}, 400, "invalid_input"),
        ({"channels": ["auctions"]}, 400, "invalid_input"),
        ({"channels": ["auctions:*x"]}, 400, "invalid_input"),
        ({"channels": ["auctions:*"], "ttl_s": 0}, 400, "invalid_input"),
        ({"channels": ["auctions:*"], "ttl_s": 86_401}, 400, "invalid_input"),
        ({"channels": ["personal:*"]}, 422, "not_shareable"),
        (
            {"channels": ["auctions:*", "personal:#019ab3c0-0000-7000-8000-000000000000"]},
            422,
            "not_shareable",
        ),
    ],
)
async def test_a_bad_wish_is_refused(host, body, status, code):
    answer = await host.post("/v1/auth/scope-tokens", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_token_is_made_over_a_socket_too_and_by_nobody_without_an_account(
    shared_system, shared_http, host
):
    async with Socket(shared_system.websocket_url, host.tokens["access_token"]) as socket:
        made = await socket.rpc("auth.create_scope_token", channels=["auctions:*"], ttl_s=60)
    assert set(made) == {"id", "token", "expires_at"}
    answer = await shared_http.post("/v1/auth/scope-tokens", json={"channels": ["auctions:*"]})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
