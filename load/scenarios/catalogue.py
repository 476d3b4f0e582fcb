"""What the market of a load test has for sale: made over REST when the run starts, and topped up by a seller."""

import secrets
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal

import httpx

from load.accounts import PASSPHRASE
from load.wire import wire_time

AUCTIONS = 20
SEALED_AUCTIONS = 5
STOCKED = 5
"""Listings with pieces to reserve."""

PIECES = 10_000
AUCTION_S = 3600
FALL = {"floor_price": 500, "step": 10, "tick_s": 5}
STARTING_PRICE = 1000
BUY_NOW_PRICE = 5000

Kind = Literal["dutch", "buy_now"]

MARKET: list[str] = []
"""The English auctions of this run, made when it starts."""

TENDERS: list[str] = []
"""Its sealed auctions."""

STOCK: list[str] = []
"""Its listings with pieces to reserve."""

OFFERS: deque[tuple[Kind, str]] = deque()
"""Auctions that the first buyer ends; who takes one out buys it."""

OFFERS_MAX = 12
"""As many as a seller keeps on offer."""

TERMS: dict[Kind, dict[str, Any]] = {
    "dutch": {"format": "dutch", "dutch": FALL},
    "buy_now": {"format": "english", "buy_now_price": BUY_NOW_PRICE},
}


def listing(title: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return the body that makes a listing."""
    common = {"description": "Made by a load test.", "category": "other", "condition": "used"}
    return {"title": title, **common, **more}


def auction(listing_id: str, **terms: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return the body that opens an auction: English, for an hour, unless told otherwise."""
    ends_at = wire_time(time.time() + AUCTION_S)
    common = {"format": "english", "currency": "EUR", "starting_price": STARTING_PRICE, "ends_at": ends_at}
    return {"listing_id": listing_id, **common, **terms}


def open_market(base_url: str) -> None:
    """Put goods up for auction over REST. Raises httpx.HTTPError."""
    with httpx.Client(base_url=base_url, timeout=30, trust_env=False) as http:
        email = f"locust-seller-{secrets.token_hex(4)}@load.example"
        body = {"email": email, "password": PASSPHRASE, "display_name": "Seller"}
        token = _post(http, "/v1/auth/register", body)["tokens"]["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        MARKET.extend(_open(http, f"Locust lot {number + 1}") for number in range(AUCTIONS))
        sealed = {"format": "sealed_second_price"}
        TENDERS.extend(
            _open(http, f"Locust tender {number + 1}", **sealed) for number in range(SEALED_AUCTIONS)
        )
        price = {"amount": 900, "currency": "EUR"}
        STOCK.extend(
            _post(http, "/v1/listings", listing(f"Locust stock {n + 1}", quantity=PIECES, price=price))["id"]
            for n in range(STOCKED)
        )
        for number in range(OFFERS_MAX // len(TERMS)):
            title = f"Locust offer {number + 1}"
            OFFERS.extend((kind, _open(http, title, **terms)) for kind, terms in TERMS.items())


def _open(http: httpx.Client, title: str, **terms: Any) -> str:  # noqa: ANN401 - JSON
    listing_id = _post(http, "/v1/listings", listing(title))["id"]
    opened: str = _post(http, "/v1/auctions", auction(listing_id, **terms))["id"]
    return opened


def _post(http: httpx.Client, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    answer = http.post(path, json=body, headers={"Idempotency-Key": secrets.token_hex(12)})
    answer.raise_for_status()
    told: dict[str, Any] = answer.json()
    return told
