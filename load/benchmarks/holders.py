"""Connections that are only there, in a process of their own: it may have 20,000 descriptors, and so may each server.

They come from a loopback address of their own, since one address has 28,000 ports. Prints `open SECONDS` when all are
subscribed; a line on stdin says that an event is about to be published to every channel; then prints how many came.
Run: `python -m load.benchmarks.holders URL COUNT LOCAL_ADDRESS CHANNEL…`.
"""

import asyncio
import gc
import random
import sys
import time
from collections.abc import Sequence
from functools import partial

import uvloop

from load.benchmarks.machine import raise_descriptor_limit
from load.client import Publication, Socket, SocketClosedError, open_socket
from load.followers import UNREACHABLE
from load.waiting import gather_some, wait_until

EVENTS_TIMEOUT_S = 30.0
ATTEMPTS_MAX = 50


async def hold(url: str, count: int, local_address: str, channels: Sequence[str]) -> None:
    """Open the connections and keep them."""
    raise_descriptor_limit()
    arrived = 0

    def take(_socket: Socket, _channel: str, _publication: Publication) -> None:
        nonlocal arrived
        arrived += 1

    async def enter(number: int) -> Socket:
        for _ in range(ATTEMPTS_MAX):
            try:
                socket = await open_socket(url, on_publication=take, local_address=local_address)
                await socket.subscribe(channels[number % len(channels)])
            except UNREACHABLE:  # a process that is late refuses for a while
                await asyncio.sleep(random.uniform(0.2, 1.0))
            else:
                return socket
        raise SocketClosedError(f"refused {ATTEMPTS_MAX} times")

    began = time.monotonic()
    sockets = await gather_some([partial(enter, number) for number in range(count)])
    print(f"open {time.monotonic() - began:.1f}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await wait_until(lambda: arrived >= count, EVENTS_TIMEOUT_S, 0.05)
    await asyncio.sleep(0.5)
    lost = sum(1 for socket in sockets if socket.closed)
    print(f"{arrived} {lost}", flush=True)


if __name__ == "__main__":
    gc.disable()
    uvloop.run(hold(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]))
