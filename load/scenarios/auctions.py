"""Bidders and watchers on websockets."""

import random
import secrets
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from locust import HttpUser, between, task
from locust.env import Environment

from load.client import ServerError
from load.scenarios.accounts import leave, sign_in
from load.scenarios.catalogue import MARKET, STARTING_PRICE, TENDERS
from load.scenarios.sockets import GeventSocket

WATCHED = 5


class SocketUser(HttpUser):
    """Signs in over REST, then lives on a socket and follows some auctions."""

    abstract = True
    environment: Environment

    def on_start(self) -> None:
        """Sign in, connect, subscribe."""
        self.minimum_bids: dict[str, int] = {}
        self.socket = GeventSocket(self.environment, str(self.host), self.notice)
        self.session = sign_in(self.client)
        self.socket.open(self.session)
        for auction_id in random.sample(MARKET, min(WATCHED, len(MARKET))):
            auction = self.socket.rpc("auctions.get_auction", {"auction_id": auction_id})
            self.minimum_bids[auction_id] = auction["minimum_bid"]
            self.socket.subscribe(f"auctions:{auction_id}")

    def on_stop(self) -> None:
        """Disconnect, and let another user have the account."""
        self.socket.close()
        leave(self.session)

    def notice(self, channel: str, _number: int, event: Mapping[str, Any]) -> None:
        """Keep the minimum bid of what we follow."""
        kind, _, auction_id = channel.partition(":")
        if kind == "auctions" and "minimum_bid" in event:
            self.minimum_bids[auction_id] = event["minimum_bid"]


class Bidder(SocketUser):
    """Bids every second or so, a little above the minimum."""

    weight = 3
    wait_time = between(0.3, 1.5)

    def on_start(self) -> None:
        """Begin with a tender."""
        super().on_start()
        self.seal_bid()

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

    @task(2)
    def seal_bid(self) -> None:
        """Bid in a tender; another bid replaces the one before."""
        body = {
            "auction_id": random.choice(TENDERS),
            "amount": STARTING_PRICE + random.randrange(5000),
            "key": secrets.token_hex(12),
        }
        self.socket.rpc("auctions.place_bid", body, name="auctions.place_bid sealed")


class Watcher(SocketUser):
    """Follows auctions; the age of each event on arrival is counted as `EVENT bid_placed` (clocks must agree)."""

    weight = 5
    wait_time = between(2, 5)
    counted: ClassVar[frozenset[str]] = frozenset({"bid_placed", "auction_closed"})

    def on_start(self) -> None:
        """Put one of the followed auctions on the watch list."""
        super().on_start()
        self.socket.rpc("auctions.watch_auction", {"auction_id": next(iter(self.minimum_bids))})

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

    @task(4)
    def get_auction(self) -> None:
        """Look at one of the followed auctions again."""
        self.socket.rpc("auctions.get_auction", {"auction_id": random.choice(list(self.minimum_bids))})

    @task(2)
    def watch_auction(self) -> None:
        """Put one of them on the watch list, or take it off again."""
        auction_id = random.choice(list(self.minimum_bids))
        method = random.choice(
            ("auctions.watch_auction", "auctions.watch_auction", "auctions.unwatch_auction")
        )
        self.socket.rpc(method, {"auction_id": auction_id})

    @task(1)
    def list_watched(self) -> None:
        """Read the watch list."""
        self.socket.rpc("auctions.list_watched", {"limit": 20})
