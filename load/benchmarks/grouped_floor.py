"""The floor of durable bids: what arrives while a transaction runs is the next one, and nothing else is done.

A bid is a row copied into one table and a price raised: no rules but its place in the order, no events, no kept
answers, nobody to tell. The tables and the socket are those of `one_by_one`. What the product costs beyond this is the
price of an auction.
Run: `python -m load.benchmarks.grouped_floor PORT DSN AUCTIONS`.
"""

import asyncio
import sys
from collections import Counter
from typing import Any

import asyncpg
import uvloop
from picows import WSMsgType, WSTransport, ws_create_server

from load.benchmarks.one_by_one import Bid, Connection, prepare

_LOCK = "SELECT id, number FROM one_by_one.auctions WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE"
_RAISE = (
    "UPDATE one_by_one.auctions AS a SET price = n.price, number = n.number"
    " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS n (id, price, number) WHERE a.id = n.id"
)
_COLUMNS = ("auction_id", "number", "bidder", "amount", "key")


class Queue:
    """The bids that wait, and the task that commits them."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        """Start with none."""
        self.pool = pool
        self.waiting: list[tuple[WSTransport, int, int, Bid]] = []
        """Who asked, the command's number, the bidder, the bid."""
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Commit until cancelled."""
        while True:
            await self.wake.wait()
            self.wake.clear()
            batch, self.waiting = self.waiting, []
            for (transport, command, _, _), number in zip(batch, await self._commit(batch), strict=True):
                answer = b'{"id":%d,"rpc":{"data":{"bid_id":"","offset":%d}}}' % (command, number)
                transport.send(WSMsgType.TEXT, answer)

    async def _commit(self, batch: list[tuple[WSTransport, int, int, Bid]]) -> list[int]:
        async with self.pool.acquire() as db, db.transaction():
            rows = await db.fetch(_LOCK, list({int(bid.auction_id) for *_, bid in batch}))
            numbers = Counter({row["id"]: row["number"] for row in rows})
            prices: dict[int, int] = {}
            records = []
            for _, _, bidder, bid in batch:
                auction = int(bid.auction_id)
                numbers[auction] += 1
                prices[auction] = bid.amount
                records.append((auction, numbers[auction], bidder, bid.amount, bid.key))
            await db.copy_records_to_table(
                "bids", records=records, columns=_COLUMNS, schema_name="one_by_one"
            )
            raised = list(prices)
            await db.execute(_RAISE, raised, list(prices.values()), [numbers[auction] for auction in raised])
        return [record[1] for record in records]


class GroupedConnection(Connection):
    """One bidder's socket: no task per bid."""

    def __init__(self, queue: Queue) -> None:
        """Remember where to bid."""
        super().__init__(queue.pool)
        self.queue = queue

    def take(self, transport: WSTransport, command: int, bid: Bid) -> None:
        """Queue a bid."""
        self.queue.waiting.append((transport, command, id(self), bid))
        self.queue.wake.set()


async def serve(port: int, dsn: str, auctions: int) -> None:
    """Serve until killed."""
    queue = Queue(await prepare(dsn, auctions))
    server = await ws_create_server(lambda _: GroupedConnection(queue), "127.0.0.1", port, backlog=4096)
    await asyncio.gather(queue.run(), server.serve_forever())


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
