"""`./mnbara demo [--users 50] [--seconds 60] [--url URL]`: a market of simulated users.

`./mnbara` names the system that runs in its home; started as a module, the demo takes 127.0.0.1 and MNBARA_PORT.
Exit code 0 when nothing happened that users did not cause, 1 otherwise, 2 for a wrong command line.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import httpx
import uvloop
from centrifuge import CentrifugeError
from rich.console import Console

from load.accounts import AccountError
from load.demo.actions import Shop
from load.demo.board import Board, Lot
from load.demo.people import GOODS, Person, read_auction
from load.demo.screen import print_summary, show
from load.waiting import gather_some

LOTS_PER_SELLER = 2
ENTERING_AT_ONCE = 8
SETTLE_S = 2.0
"""After the last bid: time for its event to reach the slowest watcher."""

ENTRY_FAILURES = (AccountError, CentrifugeError, httpx.HTTPError, TimeoutError)


class DemoError(Exception):
    """The demo cannot begin; the message says what to do."""


async def run(base_url: str, users: int, seconds: int, console: Console) -> Board:
    """Let the users in, let them trade, see them out. Raises DemoError."""
    await _expect_server(base_url)
    board, stop = Board(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    people = [Person(number, base_url, board) for number in range(1, users + 1)]
    try:
        console.print(f"signing in {users} users at {base_url} …", highlight=False)
        entering = [partial(_unless_stopped, stop, person.enter) for person in people]
        await gather_some(entering, ENTERING_AT_ONCE)
        shop = Shop()
        lots = await _open_market(people, seconds, shop) if not stop.is_set() else []
        board.open_market()
        await gather_some([partial(person.watch, lots) for person in people if lots], ENTERING_AT_ONCE)
        await _trade(people, board, seconds, stop, console, shop)
        await _check_end(people[0], board)
    except ENTRY_FAILURES as error:
        raise DemoError(f"the demo cannot go on: {error!r}") from None
    finally:
        for person in people:
            with contextlib.suppress(CentrifugeError, OSError):
                await person.leave()
    return board


async def _expect_server(base_url: str) -> None:
    try:
        async with httpx.AsyncClient(base_url=base_url, timeout=5, trust_env=False) as http:
            answer = await http.get("/health/live")
    except (httpx.TransportError, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise DemoError(
            f"no server answers at {base_url} ({error}); start one with ./mnbara up, or name another with --url"
        ) from None
    if answer.status_code != httpx.codes.OK:
        raise DemoError(f"{base_url}/health/live answers {answer.status_code}: is that Mnbara?")


async def _unless_stopped(stop: asyncio.Event, enter: Callable[[], Awaitable[None]]) -> None:
    if not stop.is_set():
        await enter()


async def _open_market(people: Sequence[Person], seconds: int, shop: Shop) -> list[Lot]:
    """Let one user in ten sell two lots, one that ends while we watch and one later, and stock the shop."""
    sellers = people[: max(1, len(people) // 10)]
    for seller in sellers:
        seller.is_seller = True
    stocking = [partial(seller.stock, shop, seconds + 60.0) for seller in sellers]
    await gather_some(stocking, ENTERING_AT_ONCE)
    titles = random.sample(GOODS, min(len(GOODS), LOTS_PER_SELLER * len(sellers)))
    selling = []
    for number, title in enumerate(titles):
        ends_in_s = seconds * random.uniform(0.4, 0.8) if number % 2 == 0 else random.uniform(60, 300)
        selling.append(partial(sellers[number % len(sellers)].sell, title, max(5.0, ends_in_s)))
    return await gather_some(selling, ENTERING_AT_ONCE)


async def _trade(
    people: Sequence[Person], board: Board, seconds: int, stop: asyncio.Event, console: Console, shop: Shop
) -> None:
    """Bid and show for the given time; then wait until the last events have arrived."""
    over = asyncio.Event()
    showing = asyncio.create_task(show(board, seconds, over, console))
    bidding = [asyncio.create_task(person.bid_until(stop, shop)) for person in people]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
    stop.set()
    await asyncio.gather(*bidding)
    await asyncio.sleep(SETTLE_S)
    over.set()
    await showing


async def _check_end(person: Person, board: Board) -> None:
    for lot in board.lots.values():
        board.check_end(lot, await read_auction(person.http, lot.auction_id))


def main(arguments: Sequence[str]) -> int:
    """Run the demo, print the summary, return the exit code."""
    parser = argparse.ArgumentParser(
        prog="./mnbara demo",
        description="Simulated users on a running server.",
        epilog="example: ./mnbara demo --users 100 --seconds 30",
    )
    parser.add_argument("--users", type=int, default=50, help="how many (default 50)")
    parser.add_argument("--seconds", type=int, default=60, help="how long they bid (default 60)")
    parser.add_argument("--url", default=_default_url(), help="where REST answers (default %(default)s)")
    chosen = parser.parse_args(arguments)
    if not 2 <= chosen.users <= 1000 or chosen.seconds < 1:
        parser.error("2 to 1000 users, one second or more")
    logging.getLogger("centrifuge").setLevel(logging.CRITICAL)  # what goes wrong is on the board
    console = Console()
    try:
        board = uvloop.run(run(chosen.url.rstrip("/"), chosen.users, chosen.seconds, console))
    except DemoError as error:
        print(f"mnbara: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print_summary(board, console)
    return 1 if board.errors or not board.bids else 0


def _default_url() -> str:
    return f"http://127.0.0.1:{os.environ.get('MNBARA_PORT', '8080')}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
