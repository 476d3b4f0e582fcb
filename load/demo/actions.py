"""What people do between two bids: put auctions on their watch list, hold pieces, keep a search, bid in a tender, buy.

One errand at a time, at random, by the weights below; things to buy at once are as many as the sellers put on offer.
"""

import asyncio
import random
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

SIDE_PRICE = 1500
"""Where tenders, Dutch auctions and auctions with a buy-now price start, in cents."""

BUY_NOW_PRICE = 4500
PIECES = 10_000
HOLD_S = 0.3
FALL = {"floor_price": 500, "step": 10, "tick_s": 2}

Call = Callable[[str, Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Runs a command over the person's socket."""


@dataclass(slots=True)
class Shop:
    """What is for sale beside the lots that everybody watches."""

    stock: list[str] = field(default_factory=list)
    """Listings with pieces to reserve."""
    tenders: list[str] = field(default_factory=list)
    """Sealed auctions."""
    offers: deque[tuple[str, str]] = field(default_factory=deque)
    """(format, auction) of what the first buyer gets."""


SIDE_TERMS: dict[str, dict[str, Any]] = {
    "sealed_second_price": {},
    "dutch": {"dutch": FALL},
    "english": {"buy_now_price": BUY_NOW_PRICE},
}
"""Formats of the auctions in the shop, and what else they are opened with."""


async def watch(call: Call, lots: list[str], _shop: Shop) -> None:
    """Have a lot on the watch list and look at the list."""
    await call("auctions.watch_auction", {"auction_id": random.choice(lots), "remind_before_s": [60]})
    await call("auctions.list_watched", {"limit": 10})


async def reserve(call: Call, _lots: list[str], shop: Shop) -> None:
    """Hold a piece, think, give it back."""
    body = {"listing_id": random.choice(shop.stock), "key": secrets.token_hex(12)}
    held = await call("listings.reserve_stock", body)
    await asyncio.sleep(HOLD_S)
    await call("listings.release_reservation", {"reservation_id": held["reservation_id"]})


async def keep_search(call: Call, _lots: list[str], _shop: Shop) -> None:
    """Save a search, look at what is saved, and forget it again: many demos may run on one server."""
    body = {"name": "Demo", "filters": {"q": "telescope"}, "key": secrets.token_hex(12)}
    saved = await call("listings.save_search", body)
    await call("listings.list_searches", {"limit": 10})
    await call("listings.delete_search", {"search_id": saved["id"]})


async def seal_bid(call: Call, _lots: list[str], shop: Shop) -> None:
    """Bid in a tender; another bid replaces the one before."""
    amount = SIDE_PRICE + random.randrange(5000)
    body = {"auction_id": random.choice(shop.tenders), "amount": amount, "key": secrets.token_hex(12)}
    await call("auctions.place_bid", body)


async def buy(call: Call, _lots: list[str], shop: Shop) -> None:
    """Buy what was put on offer first: at its buy-now price, or at the price that the clock has come to."""
    name, auction_id = shop.offers.popleft()
    body = {"auction_id": auction_id, "key": secrets.token_hex(12)}
    if name == "dutch":
        await call("auctions.place_bid", {**body, "amount": SIDE_PRICE})
    else:
        await call("auctions.buy_now", body)


Errand = Callable[[Call, list[str], Shop], Awaitable[None]]

WEIGHTS: dict[Errand, int] = {watch: 5, reserve: 3, keep_search: 2, seal_bid: 2, buy: 1}


def choose_errand(lots: list[str], shop: Shop) -> Errand | None:
    """Return one that can be done, by weight; None when there is none."""
    needs: dict[Errand, object] = {
        watch: lots,
        reserve: shop.stock,
        keep_search: True,
        seal_bid: shop.tenders,
        buy: shop.offers,
    }
    possible = [errand for errand in WEIGHTS if needs[errand]]
    return random.choices(possible, [WEIGHTS[errand] for errand in possible])[0] if possible else None
