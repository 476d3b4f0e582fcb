"""The posting door alone, for `./mnbara bench money`: one process, one database, one kind of work.

Run: `python -m tests.support.measured_books DSN prepare|alone|spread|hot|holds SECONDS`; prints its figures as JSON.

- `alone`: each transfer is a transaction of its own, on 32 connections.
- `spread`, `hot`: 500 callers share transactions, between any two of 10,000 users, or to one seller.
- `holds`: 500 holds a second, on time whether or not earlier ones are through; each is voided after its answer.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import uvloop

from load.latencies import Latencies
from protocols.payments.postings import PLATFORM, Account, Hold, Step, Transfer, VoidHold
from protocols.values import new_id, now_instant
from server.commands.group_commit import GroupCommit
from storage.engines.postgres import Database, open_database
from storage.payments.posting import Answer, post
from storage.payments.posting_rules import available

USERS = 10_000
CALLERS = 500
CONNECTIONS = 32
HOLDS_PER_S = 500
PREPARED_AT_ONCE = 500

Chain = Sequence[Step]
Book = Callable[[Chain], Awaitable[Answer]]


def user(number: int) -> UUID:
    """The same people in every run."""
    return UUID(int=(0xB00C << 64) + number)


def move(debit: Account, credit: Account, amount_minor: int = 1) -> Chain:
    step = Transfer(
        transfer_id=new_id(),
        debit=debit,
        credit=credit,
        amount_minor=amount_minor,
        reason="sale",
        ref=new_id(),
    )
    return [step]


async def prepare(database: Database) -> None:
    """Give everybody money."""
    outside = Account(PLATFORM, "EUR", "external")
    for start in range(0, USERS, PREPARED_AT_ONCE):
        chains = [
            move(outside, available(user(n), "EUR"), 100_000) for n in range(start, start + PREPARED_AT_ONCE)
        ]
        async with database.transaction() as db:
            await post(db, chains, now_instant())


class Books:
    """The door, with a transaction for each chain or shared ones."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._group = GroupCommit[Chain, Answer](self._commit)
        self._gate = asyncio.Semaphore(CONNECTIONS)

    def start(self) -> None:
        self._group.start()

    async def close(self) -> None:
        await self._group.close()

    async def _commit(self, chains: Sequence[Chain]) -> list[Answer]:
        async with self._database.transaction() as db:
            return await post(db, chains, now_instant())

    async def alone(self, chain: Chain) -> Answer:
        async with self._gate:
            return (await self._commit([chain]))[0]

    async def together(self, chain: Chain) -> Answer:
        return await self._group.ask(chain)


def between_any() -> Chain:
    payer, payee = random.sample(range(USERS), 2)
    return move(available(user(payer), "EUR"), available(user(payee), "EUR"))


def to_one() -> Chain:
    payer = random.randrange(1, USERS)
    return move(available(user(payer), "EUR"), available(user(0), "EUR"))


async def callers(book: Book, make: Callable[[], Chain], count: int, seconds: float) -> Latencies:
    """Callers with one chain under way each."""
    latencies, stop_at = Latencies(), time.monotonic() + seconds

    async def call() -> None:
        while (sent_at := time.monotonic()) < stop_at:
            answer = await book(make())
            assert answer is None, repr(answer)
            latencies.add(time.monotonic() - sent_at)

    await asyncio.gather(*(call() for _ in range(count)))
    return latencies


async def holds(book: Book, seconds: float) -> Latencies:
    """Holds that begin on time; from that instant to the answer."""
    latencies, began = Latencies(), time.monotonic()

    async def hold(due_at: float) -> None:
        taken = Hold(
            hold_id=new_id(),
            owner_id=user(random.randrange(USERS)),
            currency="EUR",
            amount_minor=1,
            ref=new_id(),
            expires_at_ms=now_instant() + 600_000,
        )
        assert await book([taken]) is None
        latencies.add(time.monotonic() - due_at)
        assert await book([VoidHold(hold_id=taken.hold_id, return_id=new_id())]) is None

    async with asyncio.TaskGroup() as group:
        for number in range(int(seconds * HOLDS_PER_S)):
            due_at = began + number / HOLDS_PER_S
            await asyncio.sleep(max(0.0, due_at - time.monotonic()))
            group.create_task(hold(due_at))
    return latencies


async def run(dsn: str, mode: str, seconds: float) -> None:
    database = await open_database(dsn)
    books = Books(database)
    books.start()
    cpu_before_s = time.process_time()
    if mode == "prepare":
        await prepare(database)
        latencies = Latencies()
    elif mode == "holds":
        latencies = await holds(books.together, seconds)
    elif mode == "alone":
        latencies = await callers(books.alone, between_any, CONNECTIONS, seconds)
    else:
        latencies = await callers(books.together, to_one if mode == "hot" else between_any, CALLERS, seconds)
    cpu_s = time.process_time() - cpu_before_s
    await books.close()
    await database.close()
    told = {
        "operations": len(latencies),
        "per_s": len(latencies) / seconds,
        "p50_ms": latencies.ms(0.5),
        "p95_ms": latencies.ms(0.95),
        "cpu_s": cpu_s,
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1], sys.argv[2], float(sys.argv[3])))
