"""The users: each has a socket of its own through the official SDK, a purse, and a temper."""

import asyncio
import random
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from centrifuge import (
    CentrifugeError,
    Client,
    ClientEventHandler,
    ConnectingContext,
    DisconnectedContext,
    PublicationContext,
    ReplyError,
    ServerPublicationContext,
    ServerSubscribedContext,
    StreamPosition,
    SubscribedContext,
    SubscriptionErrorContext,
    SubscriptionEventHandler,
    UnsubscribedContext,
)

from load.accounts import Account, http_client, sign_in
from load.demo.actions import PIECES, SIDE_PRICE, SIDE_TERMS, Shop, choose_errand
from load.demo.board import Board, Lot, View, to_seconds
from load.wire import websocket_url, wire_time

GOODS = (
    "Brass telescope", "Walnut radio", "Kilim rug", "Moka pot", "Field camera", "Oud, five courses",
    "Racing bicycle", "Star globe", "Typewriter, Arabic", "Copper tray", "Silk shawl", "Chess set",
    "Leather satchel", "Pocket watch", "Mosaic lamp", "Sailing knife", "Record player", "Saffron, 10 g",
    "Backgammon box", "Ceramic vase",
)  # fmt: skip

CAUSED_BY_USERS = frozenset({"bid_too_low", "auction_not_live"})
"""Refusals that happen to honest bidders: somebody was faster."""

ERRAND_CHANCE = 0.15
"""Of a look at the market: something else than a bid is done."""

WATCHED_MAX = 6
ATTEMPTS_MAX = 6
RETRY_S = 0.5
SNIPE_S = 8.0
"""A sniper bids in the last seconds only."""


@dataclass(slots=True)
class Temper:
    """How a user bids."""

    patience_s: float = field(default_factory=lambda: random.uniform(0.6, 4.0))
    """Mean time between two looks at the market."""
    is_bold: bool = field(default_factory=lambda: random.random() < 0.25)
    """Bids the whole maximum at once and lets the server bid for them."""
    is_sniper: bool = field(default_factory=lambda: random.random() < 0.15)
    fever: float = field(default_factory=lambda: random.uniform(0.4, 0.9))
    """Chance to find more money when everything has become too dear."""


class _ClientEvents(ClientEventHandler):  # type: ignore[misc]
    def __init__(self, person: "Person") -> None:
        self.person = person
        self.was_connected = self.is_leaving = False

    async def on_connecting(self, ctx: ConnectingContext) -> None:
        del ctx
        self.person.board.reconnects += self.was_connected
        self.was_connected = True

    async def on_disconnected(self, ctx: DisconnectedContext) -> None:
        if not self.is_leaving:
            self.person.board.fail(f"{self.person.name} was disconnected for good: {ctx.code} {ctx.reason}")

    async def on_subscribed(self, ctx: ServerSubscribedContext) -> None:
        if ctx.was_recovering and not ctx.recovered:
            self.person.board.fail(f"{self.person.name} could not recover {ctx.channel}")
        if not ctx.was_recovering and ctx.stream_position is not None:
            self.person.personal_number = ctx.stream_position.offset

    async def on_publication(self, ctx: ServerPublicationContext) -> None:
        self.person.notice_personal(ctx.pub.offset, ctx.pub.data)


class _LotEvents(SubscriptionEventHandler):  # type: ignore[misc]
    def __init__(self, person: "Person", view: View) -> None:
        self.person, self.view = person, view
        self.counted = False

    async def on_subscribed(self, ctx: SubscribedContext) -> None:
        if not self.counted:
            self.counted = True
            self.view.lot.watchers += 1
        if ctx.was_recovering and not ctx.recovered:
            self.person.board.fail(f"{self.person.name} could not recover {self.view.lot.title}")

    async def on_publication(self, ctx: PublicationContext) -> None:
        self.person.board.show_event(self.view, ctx.pub.offset, ctx.pub.data)

    async def on_unsubscribed(self, ctx: UnsubscribedContext) -> None:
        if not self.person.events.is_leaving:
            self.person.board.fail(f"{self.person.name} was unsubscribed: {ctx.code} {ctx.reason}")

    async def on_error(self, ctx: SubscriptionErrorContext) -> None:
        if isinstance(ctx.error, ReplyError) and not ctx.error.temporary:
            self.person.board.fail(f"{self.person.name} cannot watch {self.view.lot.title}: {ctx.error}")


class Person:
    """One user."""

    def __init__(self, number: int, base_url: str, board: Board) -> None:
        """Make a user who is not signed in yet."""
        self.name = f"demo-{number}"
        self.board = board
        self.temper = Temper()
        self.http = http_client(base_url, number)
        self.events = _ClientEvents(self)
        self.client: Client | None = None
        self.account: Account | None = None
        self.views: list[View] = []
        self.maxima: dict[str, int] = {}
        self.is_seller = False
        self.leads: set[str] = set()
        """Auctions this user leads, as far as the answers and the personal channel told."""
        self.personal_number = 0
        """Number of the newest event of the personal channel."""
        self._outbid_at: dict[str, float] = {}
        self._websocket_url = websocket_url(base_url)

    # -- entering and leaving ---------------------------------------------------------------------------

    async def enter(self) -> None:
        """Sign in over REST, connect the socket. Raises AccountError, httpx.TransportError, CentrifugeError."""
        self.account = await sign_in(self.http, self.name)
        self.client = Client(
            self._websocket_url,
            events=self.events,
            token=self.account.token,
            get_token=self._new_token,
            proxy=None,
            timeout=10.0,
        )
        await self.client.connect()
        await self.client.ready(timeout=20.0)
        self.board.users += 1

    async def _new_token(self) -> str:
        self.account = await sign_in(self.http, self.name)
        return self.account.token

    async def leave(self) -> None:
        """Close socket and HTTP connections."""
        self.events.is_leaving = True
        if self.client is not None:
            await self.client.disconnect()
        await self.http.aclose()

    # -- selling ----------------------------------------------------------------------------------------

    async def sell(self, title: str, ends_in_s: float) -> Lot:
        """List something over REST and auction it over the socket. Raises httpx.HTTPError, CentrifugeError."""
        auction = await self._auction(
            await self._list(title),
            ends_in_s,
            format="english",
            starting_price=random.randrange(500, 6000, 100),
            soft_close={"window_s": 30, "extend_s": 5, "max_extensions": 6},
        )
        price, minimum = auction["price"], auction["minimum_bid"]
        lot = Lot(auction["id"], title, self.name, price, minimum, to_seconds(auction["ends_at"]))
        self.board.lots[lot.auction_id] = lot
        return lot

    async def stock(self, shop: Shop, ends_in_s: float) -> None:
        """Put a little of everything else into the shop. Raises httpx.HTTPError, CentrifugeError."""
        price = {"amount": 900, "currency": "EUR"}
        shop.stock.append(await self._list("Postcards", quantity=PIECES, price=price))
        for name, terms in SIDE_TERMS.items():
            listing_id = await self._list("Box of surprises")
            auction = await self._auction(
                listing_id, ends_in_s, format=name, starting_price=SIDE_PRICE, **terms
            )
            if name.startswith("sealed"):
                shop.tenders.append(auction["id"])
            else:
                shop.offers.append((name, auction["id"]))

    async def _list(self, title: str, **more: Any) -> str:  # noqa: ANN401 - JSON
        """Return the id of a new listing."""
        assert self.account is not None
        body = {"title": title, "description": "From the demo.", "category": "other", "condition": "used"}
        key = {"Idempotency-Key": secrets.token_hex(12)}
        answer = await self.http.post(
            "/v1/listings",
            json=body | more,
            headers={"Authorization": f"Bearer {self.account.token}", **key},
        )
        answer.raise_for_status()
        listing_id: str = answer.json()["id"]
        return listing_id

    async def _auction(self, listing_id: str, ends_in_s: float, **terms: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return a new auction."""
        common = {"listing_id": listing_id, "currency": "EUR", "key": secrets.token_hex(12)}
        return await self._rpc(
            "auctions.open_auction", {**common, "ends_at": wire_time(time.time() + ends_in_s), **terms}
        )

    # -- watching ---------------------------------------------------------------------------------------

    async def watch(self, lots: Sequence[Lot]) -> None:
        """Follow some of the lots, each from the very event its first look was read at."""
        assert self.client is not None
        others = [lot for lot in lots if lot.seller != self.name]
        for lot in random.sample(others, min(WATCHED_MAX, len(others))):
            view = View(self.name, lot)
            self.views.append(view)
            self.maxima[lot.auction_id] = int(lot.minimum_bid * random.uniform(1.5, 12))
            subscription = self.client.new_subscription(
                f"auctions:{lot.auction_id}",
                events=_LotEvents(self, view),
                positioned=True,
                recoverable=True,
                get_state=lambda _channel, view=view: self._look(view),
            )
            await subscription.subscribe()

    async def _look(self, view: View) -> StreamPosition:
        auction = await self._rpc("auctions.get_auction", {"auction_id": view.lot.auction_id})
        self.board.show_snapshot(view, auction)
        position = auction["position"]
        return StreamPosition(offset=position["offset"], epoch=position["epoch"])

    def notice_personal(self, number: int, event: Mapping[str, Any]) -> None:
        """Take in an event of the personal channel."""
        if self.personal_number and number != self.personal_number + 1:
            self.board.fail(f"{self.name} saw personal event {number} after {self.personal_number}")
        self.personal_number = number
        if event.get("type") == "outbid":
            self.leads.discard(event["auction_id"])
            self._outbid_at[event["auction_id"]] = time.monotonic()

    # -- bidding ----------------------------------------------------------------------------------------

    async def bid_until(self, stop: asyncio.Event, shop: Shop) -> None:
        """Look at the market now and then, and bid as the temper says, or do something else."""
        while not stop.is_set():
            pause_s = min(random.expovariate(1 / self.temper.patience_s), 3 * self.temper.patience_s)
            try:
                async with asyncio.timeout(pause_s):
                    await stop.wait()
            except TimeoutError:
                if random.random() < ERRAND_CHANCE:
                    await self._run_errand(shop)
                    continue
                wished = self._choose()
                if wished is not None:
                    await self._bid(*wished)

    async def _run_errand(self, shop: Shop) -> None:
        """Do one thing that is no bid on a lot; sellers, who may own what it is about, do none."""
        live = [view.lot.auction_id for view in self.views if view.lot.status == "live"]
        errand = None if self.is_seller else choose_errand(live, shop)
        if errand is None:
            return
        try:
            await errand(self._rpc, live, shop)
        except ReplyError as error:
            word = error.message.partition(":")[0]
            if error.temporary or word in CAUSED_BY_USERS:
                self.board.refusals[word] += 1
            else:
                self.board.fail(f"{self.name}: {errand.__name__} answered {error.message}")
        except CentrifugeError as error:
            self.board.fail(f"{self.name}: {errand.__name__} failed: {error!r}")
        else:
            self.board.errands[errand.__name__] += 1

    def _choose(self) -> tuple[Lot, int] | None:
        """Return a lot and an amount, or nothing when there is nothing to do."""
        live = [v.lot for v in self.views if v.lot.status == "live" and v.lot.ends_at > time.time()]
        if self.temper.is_sniper:
            late = [lot for lot in live if lot.ends_at - time.time() < SNIPE_S]
            live = late or [lot for lot in live if random.random() < 0.1]
        open_to_us = [lot for lot in live if lot.auction_id not in self.leads]
        affordable = [lot for lot in open_to_us if lot.minimum_bid <= self.maxima[lot.auction_id]]
        if not affordable:
            if open_to_us and random.random() < self.temper.fever:
                lot = random.choice(open_to_us)
                self.maxima[lot.auction_id] = int(lot.minimum_bid * random.uniform(1.0, 1.3))
            return None
        lot = random.choice(affordable)
        maximum, minimum = self.maxima[lot.auction_id], lot.minimum_bid
        if self.temper.is_bold:
            return lot, maximum
        return lot, min(maximum, minimum + random.choice((0, 0, 1, 2)) * max(50, minimum // 20 // 50 * 50))

    async def _bid(self, lot: Lot, amount: int) -> None:
        """Place one bid; what is temporary is tried again with the same key, as a good client does."""
        key, sent_at = secrets.token_hex(12), time.monotonic()
        body = {"auction_id": lot.auction_id, "amount": amount, "key": key}
        for attempt in range(ATTEMPTS_MAX):
            try:
                receipt = await self._rpc("auctions.place_bid", body)
            except ReplyError as error:
                word = error.message.partition(":")[0]
                if word in CAUSED_BY_USERS:
                    self.board.refusals[word] += 1
                    return
                if not error.temporary or attempt == ATTEMPTS_MAX - 1:
                    self.board.fail(f"{self.name}: place_bid answered {error.message}")
                    return
            except CentrifugeError as error:
                if attempt == ATTEMPTS_MAX - 1:
                    self.board.fail(f"{self.name}: place_bid failed {ATTEMPTS_MAX} times, last: {error!r}")
                    return
            else:
                # The news of being outbid may overtake the answer.
                if receipt["outcome"] == "leading" and self._outbid_at.get(lot.auction_id, 0) < sent_at:
                    self.leads.add(lot.auction_id)
                self.board.ack_bid(lot, self.name, receipt, sent_at)
                return
            self.board.retries += 1
            await asyncio.sleep(RETRY_S * (attempt + 1))

    async def _rpc(self, method: str, data: Mapping[str, Any]) -> dict[str, Any]:
        assert self.client is not None
        told: dict[str, Any] = (await self.client.rpc(method, data)).data
        return told


async def read_auction(http: httpx.AsyncClient, auction_id: str) -> dict[str, Any]:
    """Return an auction over REST. Raises httpx.HTTPError."""
    answer = await http.get(f"/v1/auctions/{auction_id}")
    answer.raise_for_status()
    told: dict[str, Any] = answer.json()
    return told
