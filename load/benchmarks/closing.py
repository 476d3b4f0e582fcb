"""How late auctions end: 500 of them, each with a bid, end within one second.

Lateness is measured where it matters, at a watcher: from the auction's end to the arrival of its `auction_closed`
event, both by this machine's clock. An event before the end would be an error.
"""

import asyncio
import secrets
import time
from functools import partial

import msgspec
from msgspec import Struct

from load.benchmarks.machine import CpuMeter
from load.benchmarks.programs import BenchmarkError, System
from load.benchmarks.report import Figure
from load.client import Publication, Socket, gather_some, open_sockets
from load.latencies import Latencies
from load.market import ONE_BY_ONE, open_auctions
from load.waiting import wait_until

AUCTIONS = 500
CHANNELS_PER_SOCKET = 100
"""A connection may have 128."""
ACCOUNTS = 8
LEAD_S = 12.0
"""From the first opening to the first end; opening 500 takes a few seconds."""
WAIT_S = 20.0


class _Event(Struct):
    type: str


_events = msgspec.json.Decoder(_Event)


async def measure(system: System) -> list[Figure]:
    """Open the auctions, bid once on each, wait for their ends."""
    accounts = await system.accounts(ACCOUNTS)
    closed_at: dict[str, float] = {}

    def note(_socket: Socket, channel: str, publication: Publication) -> None:
        if _events.decode(publication.data).type == "auction_closed":
            closed_at[channel.partition(":")[2]] = time.time()

    sockets = await open_sockets(system.websocket_url, [account.token for account in accounts], note)
    sellers, bidders = sockets[:4], sockets[4:]
    watchers = await open_sockets(system.websocket_url, [""] * (AUCTIONS // CHANNELS_PER_SOCKET), note)
    try:
        first_end = time.time() + LEAD_S
        ends = [first_end + number / AUCTIONS for number in range(AUCTIONS)]
        ids = await open_auctions(sellers, ends, increments=ONE_BY_ONE)
        await gather_some(
            [
                partial(watchers[n // CHANNELS_PER_SOCKET].subscribe, f"auctions:{auction_id}")
                for n, auction_id in enumerate(ids)
            ]
        )
        await gather_some(
            [partial(_bid_once, bidders[n % 4], auction_id) for n, auction_id in enumerate(ids)]
        )
        if time.time() > first_end:
            raise BenchmarkError("opening took longer than the auctions last; this machine is too busy")
        await asyncio.sleep(first_end - time.time())
        meter = CpuMeter(system.groups())
        if not await wait_until(lambda: len(closed_at) == AUCTIONS, WAIT_S):
            raise BenchmarkError(f"{AUCTIONS - len(closed_at)} auctions did not close within {WAIT_S:.0f} s")
        used_s = meter.used_s()
    finally:
        for socket in (*sockets, *watchers):
            socket.close()
    late = Latencies(closed_at[auction_id] - end for auction_id, end in zip(ids, ends, strict=True))
    if late.quantile(0.0) < -0.001:  # ends are sent as whole milliseconds
        raise BenchmarkError(f"an auction ended {-late.ms(0.0):.0f} ms early")
    return [
        Figure(
            benchmark="close",
            what=f"p95 of lateness, {AUCTIONS} auctions end within a second",
            value=late.ms(0.95),
            unit="ms",
            target=100,
            notes={
                "lateness": late.in_words(),
                "worst ms": late.ms(1.0),
                **{f"CPU ms per auction {n}": used * 1000 / AUCTIONS for n, used in used_s.items()},
            },
        )
    ]


async def _bid_once(socket: Socket, auction_id: str) -> None:
    await socket.rpc(
        "auctions.place_bid", {"auction_id": auction_id, "amount": 100, "key": secrets.token_hex(8)}
    )
