"""Movements that have no public route, for `./mnbara soak money`: a program that posts through the door and is killed.

Run: `python -m tests.support.moving_books move|finish DSN SEED JOURNAL USERS`, `… check DSN JOURNAL…`. Users are ids
joined by commas; `finish` only brings to an answer what was begun. Everything the mover wants is a line of its journal
before it is tried, with the ids of its transfers; killed anywhere, its next life tries again what has no answer.
What it was answered is a line too. SIGTERM ends it once all is answered. `check` compares the journals with the books
and prints the violations as JSON.
"""

import asyncio
import contextlib
import json
import random
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import uvloop

from protocols.errors import Fault
from protocols.payments.postings import (
    PLATFORM,
    Account,
    Hold,
    HoldPart,
    PostHold,
    Step,
    Transfer,
    VoidHold,
)
from protocols.values import new_id, now_instant
from storage.engines.postgres import OUTAGE, RACE, Database, open_database
from storage.payments.posting import post
from storage.payments.posting_rules import available
from tests.support.money import assert_books_are_right

CURRENCIES = ("EUR", "USD", "JPY", "KWD")
TASKS = 6
AGAIN = 0.15
"""The share of what was booked that is asked for once more."""
KINDS = {kind.__name__: kind for kind in (Transfer, Hold, PostHold, VoidHold)}


class Journal:
    """What was wanted, and what was answered: lines that a kill of the process leaves."""

    def __init__(self, path: Path) -> None:
        """Open it at the end."""
        self._file = path.open("a")

    def close(self) -> None:
        self._file.close()

    def want(self, number: str, chain: Sequence[Step]) -> None:
        steps = [[type(step).__name__, msgspec.to_builtins(step)] for step in chain]
        self._write({"want": number, "chain": steps})

    def answered(self, number: str, code: str) -> None:
        self._write({"done": number, "code": code})

    def violated(self, text: str) -> None:
        self._write({"violation": text})

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


def read_journal(path: Path) -> tuple[dict[str, list[Step]], dict[str, str], list[str]]:
    """Return what was wanted, what was answered ("" for booked), and violations; a line that a kill cut off is none."""
    wanted: dict[str, list[Step]] = {}
    answered: dict[str, str] = {}
    violations: list[str] = []
    for text in path.read_text().splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):
            line = json.loads(text)
            if "want" in line:
                steps = [msgspec.convert(step, KINDS[kind]) for kind, step in line["chain"]]
                wanted[line["want"]] = steps
            elif "done" in line:
                answered[line["done"]] = line["code"]
            else:
                violations.append(line["violation"])
    return wanted, answered, violations


class Mover:
    """One life of the program."""

    def __init__(self, database: Database, journal: Journal, users: Sequence[UUID], seed: str) -> None:
        self._database, self._journal, self._users = database, journal, users
        self._random = random.Random(seed)
        self.stop = asyncio.Event()

    async def move(self) -> None:
        """Move until told to stop."""
        while not self.stop.is_set():
            chain = await self._invent()
            number = str(new_id())
            self._journal.want(number, chain)
            await self.settle(number, chain)

    async def settle(self, number: str, chain: Sequence[Step]) -> None:
        """Try until it is answered, and now and then once more."""
        code = await self._try(chain)
        self._journal.answered(number, code)
        if not code and self._random.random() < AGAIN:
            again = await self._try(chain)
            if again:
                self._journal.violated(f"{number} was booked and then refused: {again}")

    async def _try(self, chain: Sequence[Step]) -> str:
        while True:
            try:
                async with self._database.transaction() as db:
                    (refusal,) = await post(db, [chain], now_instant())
            except (Fault, *OUTAGE, *RACE):
                await asyncio.sleep(0.1)
            else:
                return "" if refusal is None else type(refusal).code

    async def _invent(self) -> list[Step]:
        dice = self._random
        user, other = dice.sample(self._users, 2)
        currency, amount = dice.choice(CURRENCIES), dice.randint(1, 5_000)
        kind = dice.choice(("top_up", "transfer", "chain", "hold", "hold", "resolve", "resolve"))
        if kind == "top_up":
            return [self._transfer(Account(PLATFORM, currency, "external"), user, currency, amount)]
        if kind == "transfer":
            return [self._transfer(available(user, currency), other, currency, amount)]
        if kind == "chain":
            third = dice.choice(self._users)
            payer = available(user, currency)
            steps = [self._transfer(payer, other, currency, amount)]
            if third not in {user, other}:
                steps.append(
                    self._transfer(available(other, currency), third, currency, dice.randint(1, 6_000))
                )
            return list(steps)
        if kind == "resolve" and (held := await self._any_hold()):
            return [self._resolution(held, other)]
        return [
            Hold(
                hold_id=new_id(),
                owner_id=user,
                currency=currency,
                amount_minor=amount,
                ref=new_id(),
                expires_at_ms=now_instant() + 3_600_000,
            )
        ]

    def _transfer(self, debit: Account, to: UUID, currency: str, amount: int) -> Transfer:
        return Transfer(
            transfer_id=new_id(),
            debit=debit,
            credit=available(to, currency),
            amount_minor=amount,
            reason="sale",
            ref=new_id(),
        )

    def _resolution(self, held: asyncpg.Record, other: UUID) -> Step:
        if self._random.random() < 0.4:
            return VoidHold(hold_id=held["hold_id"], return_id=new_id())
        amount = self._random.randint(1, held["amount_minor"])
        part = HoldPart(
            transfer_id=new_id(),
            credit=available(other, held["currency"]),
            amount_minor=amount,
            reason="sale",
        )
        return PostHold(hold_id=held["hold_id"], parts=(part,), return_id=new_id())

    async def _any_hold(self) -> asyncpg.Record | None:
        """Any open hold, the newest ones more often: others look at them too."""
        with contextlib.suppress(Fault, *OUTAGE):
            async with self._database.connection() as db:
                return await db.fetchrow(
                    "SELECT hold_id, amount_minor, currency FROM holds WHERE status = 'held' AND owner_id = ANY ($1)"
                    " ORDER BY hold_id DESC OFFSET $2 LIMIT 1",
                    self._users,
                    self._random.randint(0, 3),
                )
        return None


async def move(dsn: str, seed: str, path: Path, users: Sequence[UUID], *, finishes: bool) -> None:
    """Bring what earlier lives left to an answer, then move until told to stop."""
    wanted, answered, _ = read_journal(path)
    database = await _reach(dsn)
    journal = Journal(path)
    mover = Mover(database, journal, users, f"{seed} {len(wanted)}")
    if finishes:
        mover.stop.set()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, mover.stop.set)
    for number in [number for number in wanted if number not in answered]:
        await mover.settle(number, wanted[number])
    async with asyncio.TaskGroup() as group:
        for _ in range(TASKS):
            group.create_task(mover.move())
    journal.close()
    await database.close()


async def _reach(dsn: str) -> Database:
    while True:
        try:
            return await open_database(dsn)
        except OUTAGE:
            await asyncio.sleep(0.1)


# -- the judge ---------------------------------------------------------------------------------------------------------


async def check(dsn: str, paths: Sequence[Path]) -> dict[str, Any]:
    """Return what was done, and what the books say that must not be."""
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=2)
    violations: list[str] = []
    try:
        await assert_books_are_right(pool)
    except AssertionError as error:
        violations.append(f"the books are not right: {error}")
    counts: Counter[str] = Counter()
    resolutions: dict[UUID, list[str]] = {}
    for path in paths:
        wanted, answered, noted = read_journal(path)
        violations += noted
        violations += [f"{number} was never answered" for number in wanted.keys() - answered.keys()]
        booked = {row["transfer_id"]: row["amount_minor"] for row in await _rows(pool, wanted)}
        for number, code in answered.items():
            chain = wanted[number]
            counts[f"refused {code}" if code else type(chain[0]).__name__] += 1
            violations += judge(number, chain, code, booked)
            for step in chain:
                if not code and isinstance(step, PostHold | VoidHold):
                    resolutions.setdefault(step.hold_id, []).append(type(step).__name__)
    violations += [
        f"hold {hold_id} was resolved as {kinds}"
        for hold_id, kinds in resolutions.items()
        if kinds.count("PostHold") > 1 or len(set(kinds)) > 1
    ]
    violations += [
        f"hold {row['hold_id']} is {row['status']}, moved {row['moved']}" for row in await pool.fetch(_HOLDS)
    ]
    violations += [
        f"quote {row['quote_id']} has {row['count']} transfers" for row in await pool.fetch(_QUOTES)
    ]
    await pool.close()
    return {"counts": counts, "violations": violations}


_HOLDS = """
SELECT h.hold_id, h.status, coalesce(sum(t.amount_minor), 0) AS moved
FROM holds AS h LEFT JOIN transfers AS t ON t.hold_id = h.hold_id AND t.transfer_id <> h.hold_id
GROUP BY h.hold_id, h.status, h.amount_minor
HAVING coalesce(sum(t.amount_minor), 0) <> CASE h.status WHEN 'held' THEN 0 ELSE h.amount_minor END"""
"""Holds from which another amount has gone than they say."""

_QUOTES = """
SELECT q.quote_id, count(t.transfer_id) AS count FROM exchange_quotes AS q
LEFT JOIN transfers AS t ON t.transfer_id IN (q.sold_id, q.bought_id, q.spread_id)
GROUP BY q.quote_id, q.used, q.spread_minor
HAVING count(t.transfer_id) <> CASE WHEN q.used THEN 2 + least(q.spread_minor, 1) ELSE 0 END"""
"""Quotes that booked another number of transfers than they say."""


def judge(number: str, chain: Sequence[Step], code: str, booked: dict[UUID, int]) -> list[str]:
    """Return what is wrong with one answered chain: booked in part, though refused, or another amount."""
    amounts: dict[UUID, int] = {}
    for step in chain:
        if isinstance(step, Transfer):
            amounts[step.transfer_id] = step.amount_minor
        elif isinstance(step, Hold):
            amounts[step.hold_id] = step.amount_minor
        elif isinstance(step, PostHold):
            amounts |= {part.transfer_id: part.amount_minor for part in step.parts}
    found = {transfer_id: booked.get(transfer_id) for transfer_id in amounts}
    if code and any(amount is not None for amount in found.values()):
        return [f"{number} was refused with {code} and booked"]
    if not code and found != amounts:
        return [f"{number} was answered as booked, and is not: {found}"]
    return []


async def _rows(pool: asyncpg.Pool, wanted: dict[str, list[Step]]) -> list[asyncpg.Record]:
    ids = [
        transfer_id
        for chain in wanted.values()
        for step in chain
        for transfer_id in (
            [step.transfer_id]
            if isinstance(step, Transfer)
            else [step.hold_id]
            if isinstance(step, Hold)
            else [part.transfer_id for part in step.parts]
            if isinstance(step, PostHold)
            else []
        )
    ]
    return await pool.fetch(
        "SELECT transfer_id, amount_minor FROM transfers WHERE transfer_id = ANY ($1)", ids
    )


if __name__ == "__main__":
    if sys.argv[1] in {"move", "finish"}:
        people = [UUID(text) for text in sys.argv[5].split(",")]
        finishing = sys.argv[1] == "finish"
        uvloop.run(move(sys.argv[2], sys.argv[3], Path(sys.argv[4]), people, finishes=finishing))
    else:
        sys.stdout.write(json.dumps(uvloop.run(check(sys.argv[2], [Path(text) for text in sys.argv[3:]]))))
