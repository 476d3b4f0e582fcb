"""Put goods up for auction over a socket, as any seller would."""

import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from load.client import Socket
from load.waiting import gather_some
from load.wire import wire_time

ONE_BY_ONE = [[None, 1]]
"""Increments for load: each bid only has to be one minor unit above the price."""

OPENING_AT_ONCE = 16


class _Made(Struct):
    id: str


class Receipt(Struct):
    """What a measured bidder reads of the answer to `auctions.place_bid`."""

    bid_id: str
    offset: int


read_receipt = msgspec.json.Decoder(Receipt).decode
_made = msgspec.json.Decoder(_Made)


async def open_auction(socket: Socket, title: str, ends_at_s: float, **terms: Any) -> str:  # noqa: ANN401 - JSON
    """Create a listing and open an English auction of it; return the auction's id. Raises ServerError."""
    listing = _made.decode(
        await socket.rpc(
            "listings.create_listing",
            {
                "title": title,
                "description": "Made by a load test.",
                "category": "other",
                "condition": "used",
                "key": secrets.token_hex(8),
            },
        )
    )
    auction = await socket.rpc(
        "auctions.open_auction",
        {
            "listing_id": listing.id,
            "format": "english",
            "currency": "EUR",
            "starting_price": 1,
            "ends_at": wire_time(ends_at_s),
            "key": secrets.token_hex(8),
            **terms,
        },
    )
    return _made.decode(auction).id


async def open_auctions(sockets: Sequence[Socket], ends_at_s: Sequence[float], **terms: Any) -> list[str]:  # noqa: ANN401
    """Open one auction per end, spread over the sellers' sockets; return their ids in order."""
    jobs = [
        partial(open_auction, sockets[number % len(sockets)], f"Load lot {number + 1}", end, **terms)
        for number, end in enumerate(ends_at_s)
    ]
    return await gather_some(jobs, OPENING_AT_ONCE)


def bid(auction_id: str, amount: int, key: str) -> bytes:
    """Return the data of `auctions.place_bid`."""
    return b'{"auction_id":"%b","amount":%d,"key":"%b"}' % (auction_id.encode(), amount, key.encode())
