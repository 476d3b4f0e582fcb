"""Bidders and watchers on websockets, and the market they meet on."""

import random
import secrets
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import httpx
from locust import HttpUser, between, task
from locust.env import Environment

from load.accounts import PASSPHRASE
from load.client import ServerError
from load.market import wire_time
from load.scenarios.accounts import sign_in
from load.scenarios.sockets import GeventSocket

AUCTIONS = 20
WATCHED = 5
AUCTION_S = 3600

MARKET: list[str] = []
"""The auctions of this run, made when it starts."""


def open_market(base_url: str) -> None:
    """Put goods up for auction over REST. Raises httpx.HTTPError."""
    with httpx.Client(base_url=base_url, timeout=30, trust_env=False) as http:
        email = f"locust-seller-{secrets.token_hex(4)}@load.example"
        body = {"email": email, "password": PASSPHRASE, "display_name": "Seller"}
        token = _post(http, "/v1/auth/register", body)["tokens"]["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        for number in range(AUCTIONS):
            listing = {
                "title": f"Locust lot {number + 1}",
                "description": "Made by a load test.",
                "category": "other",
                "condition": "used",
            }
            auction = {
                "listing_id": _post(http, "/v1/listings", listing)["id"],
                "format": "english",
                "currency": "EUR",
                "starting_price": 1000,
                "ends_at": wire_time(time.time() + AUCTION_S),
            }
            MARKET.append(_post(http, "/v1/auctions", auction)["id"])


def _post(http: httpx.Client, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    answer = http.post(path, json=body, headers={"Idempotency-Key": secrets.token_hex(12)})
    answer.raise_for_status()
    told: dict[str, Any] = answer.json()
    return told


class SocketUser(HttpUser):
    """Signs in over REST, then lives on a socket and follows some auctions."""

    abstract = True
    environment: Environment

    def on_start(self) -> None:
        """Sign in, connect, subscribe."""
        self.minimum_bids: dict[str, int] = {}
        self.socket = GeventSocket(self.environment, str(self.host), self.notice)
        self.socket.open(sign_in(self.client))
        for auction_id in random.sample(MARKET, min(WATCHED, len(MARKET))):
            auction = self.socket.rpc("auctions.get_auction", {"auction_id": auction_id})
            self.minimum_bids[auction_id] = auction["minimum_bid"]
            self.socket.subscribe(f"auctions:{auction_id}")

    def on_stop(self) -> None:
        """Disconnect."""
        self.socket.close()

    def notice(self, channel: str, _number: int, event: Mapping[str, Any]) -> None:
        """Keep the minimum bid of what we follow."""
        kind, _, auction_id = channel.partition(":")
        if kind == "auctions" and "minimum_bid" in event:
            self.minimum_bids[auction_id] = event["minimum_bid"]


class Bidder(SocketUser):
    """Bids every second or so, a little above the minimum."""

    weight = 3
    wait_time = between(0.3, 1.5)

    @task(10)
    def place_bid(self) -> None:
        """Bid on one of the followed auctions; being too late is part of the game."""
        auction_id, minimum = random.choice(list(self.minimum_bids.items()))
        body = {
            "auction_id": auction_id,
            "amount": minimum + random.randrange(200),
            "key": secrets.token_hex(12),
        }
        try:
            self.socket.rpc("auctions.place_bid", body)
        except ServerError:
            auction = self.socket.rpc("auctions.get_auction", {"auction_id": auction_id})
            self.minimum_bids[auction_id] = auction["minimum_bid"]

    @task(1)
    def list_bids(self) -> None:
        """Read who bid before."""
        self.socket.rpc(
            "auctions.list_bids", {"auction_id": random.choice(list(self.minimum_bids)), "limit": 20}
        )


class Watcher(SocketUser):
    """Follows auctions; the age of each event on arrival is counted as `EVENT bid_placed` (clocks must agree)."""

    weight = 5
    wait_time = between(2, 5)
    counted: ClassVar[frozenset[str]] = frozenset({"bid_placed", "auction_closed"})

    def notice(self, channel: str, number: int, event: Mapping[str, Any]) -> None:
        """Count how old the event is."""
        super().notice(channel, number, event)
        if event.get("type") in self.counted:
            age_s = time.time() - datetime.fromisoformat(event["at"]).timestamp()
            self.environment.events.request.fire(  # type: ignore[no-untyped-call]
                request_type="EVENT",
                name=event["type"],
                response_time=max(age_s, 0.0) * 1000,
                response_length=0,
                exception=None,
                context={},
            )

    @task
    def get_auction(self) -> None:
        """Look at one of the followed auctions again."""
        self.socket.rpc("auctions.get_auction", {"auction_id": random.choice(list(self.minimum_bids))})
