"""Those who are connected already: 500 watchers of an auction with 50 bids a second, in a process of their own.

The storm's generator must not be what delays them. Commands come as lines: `phase NAME` begins one, `end` prints a JSON
object with the delivery latencies of each phase, from sending a bid to its event at each watcher, and leaves.
Run: `python -m load.benchmarks.audience URL AUCTION_ID TOKEN`.
"""

import asyncio
import gc
import json
import sys
import time

import uvloop

from load.benchmarks.watch import Watcher, sit_down
from load.client import Reply, Socket, open_socket, open_sockets
from load.latencies import Latencies
from load.market import bid, read_receipt

WATCHERS = 500
RATE = 50
"""Bids a second."""


class Bids:
    """One bidder at a fixed rate, and what became of it."""

    def __init__(self, socket: Socket, auction_id: str) -> None:
        """Bid nothing yet."""
        self._socket, self._auction_id = socket, auction_id
        self.sent_at: dict[int, float] = {}
        """When each accepted bid was sent, by the number of its event."""
        self.refused: list[str] = []

    async def run(self) -> None:
        """Bid until cancelled, on time whether or not earlier bids were answered."""
        began, number, first = time.monotonic(), 0, int(time.time() * 1000)
        while True:
            number += 1
            await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
            body = bid(self._auction_id, first + number, f"onlooker-{first}-{number}")
            self._socket.call("auctions.place_bid", body, self._answer_to(time.monotonic()))

    def _answer_to(self, sent_at: float):  # type: ignore[no-untyped-def] # noqa: ANN202 - a closure
        def answered(reply: Reply) -> None:
            if reply.rpc is not None:
                self.sent_at[read_receipt(reply.rpc.data).offset] = sent_at
            elif reply.error is not None:
                self.refused.append(reply.error.message)

        return answered


def arrivals(watcher: Watcher, first: int) -> list[tuple[int, float]]:
    """Return each event after `first` with the time it came; a frame may have brought several."""
    came, last = [], first
    for number, at in watcher.reached:
        came += [(event, at) for event in range(last + 1, number + 1)]
        last = number
    return came


async def look_on(url: str, auction_id: str, token: str) -> None:
    """Serve the commands on stdin."""
    bidder = await open_socket(url, token)
    watchers = await sit_down(
        await open_sockets(url, [""] * WATCHERS, make=Watcher), f"auctions:{auction_id}"
    )
    first = {watcher: watcher.position for watcher in watchers}
    bids = Bids(bidder, auction_id)
    bidding = asyncio.create_task(bids.run())
    gc.collect()
    gc.freeze()
    gc.disable()
    phases: list[tuple[str, float]] = []
    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    while (line := (await loop.run_in_executor(None, sys.stdin.readline)).split()) and line[0] == "phase":
        phases.append((line[1], time.monotonic()))
    ended_at = time.monotonic()
    bidding.cancel()
    await asyncio.sleep(1.0)  # the last events are on their way
    told = {}
    for (name, began), (_, until) in zip(phases, [*phases[1:], ("", ended_at)], strict=True):
        samples = Latencies(
            at - bids.sent_at[event]
            for watcher in watchers
            for event, at in arrivals(watcher, first[watcher])
            if event in bids.sent_at and began <= bids.sent_at[event] < until
        )
        told[name] = {
            "p50_ms": samples.ms(0.5),
            "p95_ms": samples.ms(0.95),
            "p99_ms": samples.ms(0.99),
            "max_ms": samples.ms(1.0),
            "deliveries": len(samples),
        }
    wrong = {
        "disorder": sum(watcher.disorder for watcher in watchers),
        "behind": sum(watcher.position < max(bids.sent_at, default=0) for watcher in watchers),
        "lost": sum(1 for watcher in watchers if watcher.closed),
        "refused": len(bids.refused),
    }
    print(json.dumps({"phases": told, "wrong": wrong}), flush=True)


if __name__ == "__main__":
    uvloop.run(look_on(*sys.argv[1:4]))
