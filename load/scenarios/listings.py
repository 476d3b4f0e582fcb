"""Visitors who browse over REST."""

import random

from locust import HttpUser, between, task

from load.scenarios.accounts import leave, sign_in
from load.scenarios.catalogue import MARKET

WORDS = ("lot", "locust", "load", "radio", "rug", "camera")


class Visitor(HttpUser):
    """Searches, reads, and asks who they are."""

    weight = 2
    wait_time = between(0.5, 2)

    def on_start(self) -> None:
        """Sign in."""
        self.session = sign_in(self.client)
        self.listing_ids: list[str] = []

    def on_stop(self) -> None:
        """Let another user have the account."""
        leave(self.session)

    @task(4)
    def search_listings(self) -> None:
        """Search for a word."""
        answer = self.client.get(
            "/v1/listings", params={"q": random.choice(WORDS), "limit": 20}, name="/v1/listings?q="
        )
        if answer.ok:
            self.listing_ids = [item["id"] for item in answer.json()["items"]]

    @task(4)
    def get_listing(self) -> None:
        """Read one of the listings that were found."""
        if self.listing_ids:
            self.client.get(f"/v1/listings/{random.choice(self.listing_ids)}", name="/v1/listings/{id}")

    @task(4)
    def get_auction(self) -> None:
        """Read an auction."""
        if MARKET:
            self.client.get(f"/v1/auctions/{random.choice(MARKET)}", name="/v1/auctions/{id}")

    @task(2)
    def list_auctions(self) -> None:
        """See what ends soon."""
        self.client.get(
            "/v1/auctions", params={"status": "live", "sort": "ends_at"}, name="/v1/auctions?status="
        )

    @task(1)
    def get_me(self) -> None:
        """Ask who is signed in."""
        self.client.get("/v1/auth/me")
