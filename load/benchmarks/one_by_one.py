"""The baseline for bids: every bid in a transaction of its own, in one PL/pgSQL function, 32 connections.

Leaner than the product: no events, no idempotency rows, no proxy bidding, no authentication, no refusals. `direct`
calls the function from 500 tasks and prints its figures; `serve` puts a bare websocket server in front, for the same
generator as the product's. Tables live in schema `one_by_one` of the given database, and are made anew.
Run: `python -m load.benchmarks.one_by_one PORT direct|serve DSN AUCTIONS [CLIENTS SECONDS]`.
"""

import asyncio
import itertools
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import asyncpg
import msgspec
import uvloop
from msgspec import Struct
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from load.latencies import Latencies

CONNECTIONS = 32

_SCHEMA = """
DROP SCHEMA IF EXISTS one_by_one CASCADE;
CREATE SCHEMA one_by_one;
CREATE TABLE one_by_one.auctions (
  id bigint PRIMARY KEY, price bigint NOT NULL DEFAULT 0, leader bigint, number bigint NOT NULL DEFAULT 0);
CREATE TABLE one_by_one.bids (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, auction_id bigint NOT NULL, number bigint NOT NULL,
  bidder bigint NOT NULL, amount bigint NOT NULL, key text NOT NULL, at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (auction_id, number), UNIQUE (bidder, key));
CREATE FUNCTION one_by_one.place_bid(wanted bigint, who bigint, offered bigint, named text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE lot record;
BEGIN
  SELECT * INTO lot FROM one_by_one.auctions WHERE id = wanted FOR UPDATE;
  -- Thirty-two connections overtake one another: a bid that came too late is raised, so that none is refused.
  offered := greatest(offered, lot.price + 1);
  UPDATE one_by_one.auctions SET price = offered, leader = who, number = lot.number + 1 WHERE id = wanted;
  INSERT INTO one_by_one.bids (auction_id, number, bidder, amount, key)
  VALUES (wanted, lot.number + 1, who, offered, named);
  RETURN lot.number + 1;
END $$;
"""
_PLACE = "SELECT one_by_one.place_bid($1, $2, $3, $4)"


@dataclass(frozen=True, slots=True)
class Result:
    """What `direct` prints."""

    per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


async def prepare(dsn: str, auctions: int) -> "asyncpg.Pool[Any]":
    """Make the tables and return connections."""
    pool = await asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS)
    await pool.execute(_SCHEMA)
    await pool.execute(
        "INSERT INTO one_by_one.auctions (id) SELECT generate_series(0, $1::bigint - 1)", auctions
    )
    return pool


async def direct(dsn: str, auctions: int, clients: int, seconds: float) -> Result:
    """Bid from `clients` tasks, one bid under way each."""
    pool = await prepare(dsn, auctions)
    amounts, latencies = itertools.count(1), Latencies()
    stop_at = time.monotonic() + seconds

    async def bid(client: int) -> None:
        while (sent_at := time.monotonic()) < stop_at:
            amount = next(amounts)
            await pool.fetchval(_PLACE, client % auctions, client, amount, str(amount))
            latencies.add(time.monotonic() - sent_at)

    started_at = time.monotonic()
    await asyncio.gather(*(bid(client) for client in range(clients)))
    elapsed_s = time.monotonic() - started_at
    await pool.close()
    return Result(len(latencies) / elapsed_s, latencies.ms(0.5), latencies.ms(0.95), latencies.ms(0.99))


class Bid(Struct):
    """What a baseline reads of a bid."""

    auction_id: str
    amount: int
    key: str


class _Rpc(Struct):
    data: Bid


class _Command(Struct):
    id: int = 0
    rpc: _Rpc | None = None


_commands = msgspec.json.Decoder(_Command)


class Connection(WSListener):
    """One bidder's socket: a task and a transaction per bid."""

    def __init__(self, pool: "asyncpg.Pool[Any]") -> None:
        """Remember where to bid."""
        self.pool = pool
        self.tasks: set[asyncio.Task[None]] = set()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answer connect at once, a bid when it is durable."""
        if frame.msg_type != WSMsgType.TEXT:
            if frame.msg_type == WSMsgType.CLOSE:
                transport.disconnect()
            return
        for command in _commands.decode_lines(frame.get_payload_as_bytes()):
            if command.rpc is None:
                transport.send(WSMsgType.TEXT, b'{"id":%d,"connect":{}}' % command.id)
                continue
            self.take(transport, command.id, command.rpc.data)

    def take(self, transport: WSTransport, command: int, bid: Bid) -> None:
        """Begin a bid's transaction."""
        task = asyncio.get_running_loop().create_task(self._place(transport, command, bid))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _place(self, transport: WSTransport, number: int, bid: Bid) -> None:
        offset = await self.pool.fetchval(_PLACE, int(bid.auction_id), id(self), bid.amount, bid.key)
        answer = b'{"id":%d,"rpc":{"data":{"bid_id":"","offset":%d}}}' % (number, offset)
        transport.send(WSMsgType.TEXT, answer)


async def serve(port: int, dsn: str, auctions: int) -> None:
    """Serve until killed."""
    pool = await prepare(dsn, auctions)
    server = await ws_create_server(lambda _: Connection(pool), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    _port, _mode, _dsn, _auctions, *_rest = sys.argv[1:]
    if _mode == "serve":
        uvloop.run(serve(int(_port), _dsn, int(_auctions)))
    else:
        print(json.dumps(asdict(uvloop.run(direct(_dsn, int(_auctions), int(_rest[0]), float(_rest[1]))))))
