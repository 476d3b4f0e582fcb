"""Bidders who do not give up: each bid keeps its key until it is answered for good, over however many connections."""

import asyncio
import contextlib
import itertools
import random
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import msgspec

from load.client import ServerError, Socket, open_socket
from load.followers import BACK_OFF_S, UNREACHABLE
from load.market import read_receipt
from load.soak.evidence import Evidence

ANSWER_WITHIN_S = 90.0
"""A bid that has no answer after this long is a violation; a killed PostgreSQL is back within a few seconds."""

EXPECTED = frozenset({"bid_too_low"})
"""Refusals that happen to bidders whose bids cross."""


@dataclass(slots=True)
class Pace:
    """Shared by all bidders: rising amounts, and how long each rests between two bids."""

    rest_s: float
    amounts: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1_000))
    retried: int = 0
    refused: int = 0


class Bidder:
    """One bidder with one connection at a time."""

    def __init__(self, url: str, token: str, auctions: Sequence[str], evidence: Evidence, pace: Pace) -> None:
        """Bid nothing until `run`."""
        self._url, self._token, self._auctions = url, token, auctions
        self._evidence, self._pace = evidence, pace
        self._socket: Socket | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Bid until `stop`; the bid under way is brought to its end."""
        while not stop.is_set():
            auction_id = random.choice(self._auctions)
            await self._bid(auction_id, next(self._pace.amounts), secrets.token_hex(12))
            await asyncio.sleep(random.uniform(0, 2 * self._pace.rest_s))
        if self._socket is not None:
            self._socket.close()

    async def _bid(self, auction_id: str, amount: int, key: str) -> None:
        body = {"auction_id": auction_id, "amount": amount, "key": key}
        give_up_at, attempt = time.monotonic() + ANSWER_WITHIN_S, 0
        while time.monotonic() < give_up_at:
            try:
                socket = await self._connected()
                answer = await socket.rpc("auctions.place_bid", body)
            except ServerError as error:
                if error.word in EXPECTED:
                    self._pace.refused += 1
                    return
                if not error.is_temporary:
                    self._evidence.violations.append(f"a bid was refused for good: {error}")
                    return
            except UNREACHABLE:
                self._leave()
            else:
                self._evidence.note_receipt(f"auctions:{auction_id}", read_receipt(answer))
                return
            self._pace.retried += 1
            first_s, most_s = BACK_OFF_S
            await asyncio.sleep(random.uniform(0, min(most_s, first_s * 2**attempt)))
            attempt += 1
        self._evidence.violations.append(f"a bid was not answered for {ANSWER_WITHIN_S:.0f} s")

    async def _connected(self) -> Socket:
        if self._socket is None or self._socket.closed:
            self._socket = await open_socket(self._url, self._token)
        return self._socket

    def _leave(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close()


@contextlib.asynccontextmanager
async def bidding(bidders: Sequence[Bidder]) -> AsyncIterator[None]:
    """Let all bid until the block ends, and wait for their last answers."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for bidder in bidders:
            group.create_task(bidder.run(stop))
        try:
            yield
        finally:
            stop.set()


async def read_bid_count(socket: Socket, auction_id: str) -> int:
    """Return how many bids an auction counts."""
    told = msgspec.json.decode(await socket.rpc("auctions.get_auction", {"auction_id": auction_id}))
    return int(told["bid_count"])
