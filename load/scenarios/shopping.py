"""Users who buy at once, hold stock and keep searches, and the seller who puts new things on offer for them."""

import random
import secrets
from typing import Any

import gevent
from locust import HttpUser, between, task
from locust.clients import ResponseContextManager

from load.scenarios.accounts import leave, sign_in
from load.scenarios.catalogue import (
    OFFERS,
    OFFERS_MAX,
    STARTING_PRICE,
    STOCK,
    TERMS,
    Kind,
    auction,
    listing,
)

SEARCHES_KEPT = 5
HOLDS_S = 0.5
"""How long a shopper thinks while the pieces are held."""


class RestUser(HttpUser):
    """Signs in, and sends commands with keys of their own."""

    abstract = True

    def on_start(self) -> None:
        """Sign in."""
        self.session = sign_in(self.client)

    def on_stop(self) -> None:
        """Let another user have the account."""
        leave(self.session)

    def post(
        self,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        name: str = "",
        allowed: frozenset[int] = frozenset(),
    ) -> dict[str, Any] | None:
        """Return the answer to a command, None when it was refused; refusals that are `allowed` are no failures."""
        answer: ResponseContextManager
        headers = {"Idempotency-Key": secrets.token_hex(12)}
        with self.client.post(
            path, json=body or {}, headers=headers, name=name or path, catch_response=True
        ) as answer:
            if answer.ok:
                told: dict[str, Any] = answer.json()
                return told
            if answer.status_code in allowed:
                answer.success()  # type: ignore[no-untyped-call]
            return None


class Seller(RestUser):
    """Keeps some things on offer, one new one at a time."""

    fixed_count = 1
    wait_time = between(0.2, 0.6)

    @task
    def open_auction(self) -> None:
        """Offer the kind that there is less of, unless there is enough."""
        if len(OFFERS) >= OFFERS_MAX:
            return
        kinds = [kind for kind, _ in OFFERS]
        kind: Kind = min(TERMS, key=kinds.count)
        made = self.post("/v1/listings", listing(f"Locust {kind}"))
        opened = made and self.post("/v1/auctions", auction(made["id"], **TERMS[kind]))
        if opened:
            OFFERS.append((kind, opened["id"]))


class Shopper(RestUser):
    """Buys now and then, reserves more often than that, keeps a few searches."""

    weight = 2
    wait_time = between(0.3, 1)

    def on_start(self) -> None:
        """Sign in, and begin with one of everything, so that short runs have it all."""
        super().on_start()
        self.searches: list[str] = []
        for begin in (self.buy, self.buy, self.reserve_stock, self.save_search):
            begin()

    @task(4)
    def buy(self) -> None:
        """Buy what was put on offer first: at its buy-now price, or at the price the clock has come to."""
        if not OFFERS:
            return
        kind, auction_id = OFFERS.popleft()
        path = f"/v1/auctions/{auction_id}"
        if kind == "buy_now":
            self.post(f"{path}/buy-now", name="/v1/auctions/{id}/buy-now")
        else:
            self.post(f"{path}/bids", {"amount": STARTING_PRICE}, name="/v1/auctions/{id}/bids dutch")

    @task(5)
    def reserve_stock(self) -> None:
        """Hold a piece or two, think, and give them back."""
        path = f"/v1/listings/{random.choice(STOCK)}/reservations"
        held = self.post(
            path,
            {"quantity": random.randint(1, 2)},
            name="/v1/listings/{id}/reservations",
            allowed=frozenset({409}),
        )
        if held:
            gevent.sleep(HOLDS_S)
            self.post(
                f"/v1/reservations/{held['reservation_id']}/release", name="/v1/reservations/{id}/release"
            )

    @task(2)
    def save_search(self) -> None:
        """Keep another search; the oldest makes room."""
        if len(self.searches) >= SEARCHES_KEPT:
            search_id = self.searches.pop(0)
            self.client.delete(f"/v1/saved-searches/{search_id}", name="/v1/saved-searches/{id}")
        body = {"name": "Things for me", "filters": {"q": random.choice(("radio", "rug", "camera"))}}
        saved = self.post("/v1/saved-searches", body)
        if saved:
            self.searches.append(saved["id"])

    @task(2)
    def list_searches(self) -> None:
        """See what is kept."""
        self.client.get("/v1/saved-searches")
