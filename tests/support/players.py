"""People of acceptance tests: they sign up over REST, bid and watch with the official SDK."""

import asyncio
import itertools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import httpx
from centrifuge import (
    CentrifugeError,
    Client,
    ClientEventHandler,
    PublicationContext,
    ReplyError,
    ServerPublicationContext,
    SubscribedContext,
    Subscription,
    SubscriptionEventHandler,
)

PASSWORD = "correct horse battery"
_numbers = itertools.count(1)


@dataclass(slots=True)
class Player:
    """A signed-up user."""

    http: httpx.AsyncClient
    user_id: str
    email: str
    tokens: dict[str, Any]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}

    async def post(self, path: str, body: dict, key: str | None = None) -> httpx.Response:
        headers = self.headers | ({"Idempotency-Key": key} if key else {})
        return await self.http.post(path, json=body, headers=headers)

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(path, headers=self.headers)


async def sign_up(http: httpx.AsyncClient, name: str = "player") -> Player:
    """Register a new user."""
    email = f"{name}{next(_numbers)}-{datetime.now(UTC).timestamp():.6f}@example.test"
    body = {"email": email, "password": PASSWORD, "display_name": name}
    answer = await http.post("/v1/auth/register", json=body)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    return Player(http, made["user"]["id"], email, made["tokens"])


async def open_auction(seller: Player, **changes: Any) -> dict:
    """List something and auction it; an English auction in EUR that ends in an hour unless told otherwise."""
    listing = {"title": "A brass compass", "description": "", "category": "other", "condition": "used"}
    listed = await seller.post("/v1/listings", listing)
    assert listed.status_code == 201, listed.text
    body = {
        "listing_id": listed.json()["id"],
        "format": "english",
        "currency": "EUR",
        "starting_price": 1000,
        "ends_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        **changes,
    }
    opened = await seller.post("/v1/auctions", body)
    assert opened.status_code == 201, opened.text
    return opened.json()


def read_data(data: Any) -> dict:
    """Return a payload: the JSON client has decoded it, the Protobuf client hands out bytes."""
    return json.loads(data) if isinstance(data, bytes) else data


class Socket(ClientEventHandler):
    """One SDK connection; remembers what its personal channel said."""

    def __init__(self, url: str, token: str = "", *, protobuf: bool = False) -> None:
        self.personal: list[tuple[int, dict]] = []
        self.codes: list[tuple[int, str]] = []
        self.protobuf = protobuf
        self.client = Client(
            url,
            events=self,
            token=token,
            use_protobuf=protobuf,
            min_reconnect_delay=0.05,
            max_reconnect_delay=0.5,
            proxy=None,
        )

    async def on_publication(self, ctx: ServerPublicationContext) -> None:
        self.personal.append((ctx.pub.offset, read_data(ctx.pub.data)))

    async def on_connecting(self, ctx) -> None:
        self.codes.append((ctx.code, ctx.reason))

    async def on_disconnected(self, ctx) -> None:
        self.codes.append((ctx.code, ctx.reason))

    async def __aenter__(self) -> Self:
        await self.client.connect()
        await self.client.ready(timeout=10)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.disconnect()

    async def rpc(self, method: str, **data: Any) -> dict:
        result = await self.client.rpc(method, json.dumps(data).encode() if self.protobuf else data)
        return read_data(result.data)

    async def watch(self, channel: str) -> "Watcher":
        watcher = Watcher()
        watcher.subscription = self.client.new_subscription(channel, events=watcher)
        await watcher.subscription.subscribe()
        await watcher.subscription.ready(timeout=10)
        return watcher


@dataclass
class Watcher(SubscriptionEventHandler):
    """One subscription: everything it was given, in order."""

    seen: list[tuple[int, dict]] = field(default_factory=list)
    started_at: int | None = None
    recoveries: list[bool] = field(default_factory=list)
    subscription: Subscription | None = None

    async def on_publication(self, ctx: PublicationContext) -> None:
        self.seen.append((ctx.pub.offset, read_data(ctx.pub.data)))

    async def on_subscribed(self, ctx: SubscribedContext) -> None:
        if self.started_at is None:
            self.started_at = ctx.stream_position.offset if ctx.stream_position else 0
        elif ctx.was_recovering:
            self.recoveries.append(ctx.recovered)

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.seen]

    async def until(self, number: int, timeout_s: float = 20) -> None:
        """Wait until the event with that number was seen."""
        async with asyncio.timeout(timeout_s):
            while not self.seen or self.seen[-1][0] < number:
                await asyncio.sleep(0.02)

    def assert_saw_every_number_once(self) -> None:
        start = self.started_at or 0
        assert self.numbers == list(range(start + 1, start + 1 + len(self.numbers)))


async def bid_until_answered(
    socket: Socket, auction_id: str, amount: int, key: str, timeout_s: float = 40
) -> dict | ReplyError:
    """Bid with one key until the server answers for good: an acknowledgement, or a refusal that is not temporary."""
    async with asyncio.timeout(timeout_s):
        while True:
            try:
                return await socket.rpc("auctions.place_bid", auction_id=auction_id, amount=amount, key=key)
            except ReplyError as refusal:
                if not refusal.temporary:
                    return refusal
            except (CentrifugeError, TimeoutError):
                pass
            await asyncio.sleep(0.05)
