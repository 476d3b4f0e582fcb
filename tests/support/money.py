"""Money for tests: people who have some, and what must be true of the books whatever happened."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import httpx

from protocols.errors import Refusal, TemporarilyUnavailable
from protocols.payments.escrows import EscrowRole, EscrowStep, FreezeEscrow, LineTerms, OpenEscrow
from protocols.payments.postings import LIMITED, PLATFORM, Account, Reason, Step, Transfer
from protocols.values import new_id, now_instant
from storage.engines.postgres import RACE, Connection, Database, open_database
from storage.payments.escrow import EscrowAnswer, change_escrows
from storage.payments.posting import Answer, post
from storage.payments.posting_rules import available

T = TypeVar("T")

EXTERNAL = Account(PLATFORM, "EUR", "external")
COMMISSION = Account(PLATFORM, "EUR", "commission")


def transfer(
    debit: Account, credit: Account, amount_minor: int, reason: Reason = "sale", **fields: UUID
) -> Transfer:
    """Return a transfer with a new id, about something new."""
    named = {"transfer_id": new_id(), "ref": new_id()} | fields
    return Transfer(debit=debit, credit=credit, amount_minor=amount_minor, reason=reason, **named)


def top_up(user_id: UUID, amount_minor: int, currency: str = "EUR") -> Transfer:
    """Return what brings money in from outside."""
    outside = Account(PLATFORM, currency, "external")
    return transfer(outside, available(user_id, currency), amount_minor, "top_up")


async def book(database: Database, *chains: Sequence[Step], now_ms: int = 0) -> list[Answer]:
    """Post chains in one transaction of their own."""
    return await again(database, lambda db: post(db, chains, now_ms or now_instant()))


async def again(database: Database, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Commit a transaction, again when the machine was too slow for it: what is asked twice happens once."""
    while True:
        try:
            async with database.transaction() as db:
                return await work(db)
        except (TemporarilyUnavailable, *RACE):
            await asyncio.sleep(0.05)


async def give_money(postgres_url: str, user_id: UUID) -> None:
    """Let money come in twice, on a database that a running system uses."""
    database = await open_database(postgres_url)
    await book(database, [top_up(user_id, 1_000)], [top_up(user_id, 500)])
    await database.close()


def opening(payer_id: UUID, *lines: LineTerms, **fields: Any) -> OpenEscrow:
    """Return the opening of a new deal's escrow, in euros and for a day unless it is said."""
    terms = {
        "escrow_id": new_id(),
        "kind": "auction",
        "ref": new_id(),
        "currency": "EUR",
        "commission_version": 0,
        "ends_at_ms": now_instant() + 86_400_000,
    }
    return OpenEscrow(payer_id=payer_id, lines=lines, **(terms | fields))


def line(role: EscrowRole, amount_minor: int, user_id: UUID | None = None) -> LineTerms:
    """Return a line of a deal."""
    return LineTerms(role=role, user_id=user_id, amount_minor=amount_minor)


async def step(database: Database, *steps: EscrowStep, now_ms: int = 0) -> list[EscrowAnswer]:
    """Take steps of escrows in one transaction of their own."""
    return await again(database, lambda db: change_escrows(db, steps, now_ms or now_instant()))


async def open_paid_escrow(
    postgres_url: str, payer_id: UUID, seller_id: UUID, *, frozen: bool = False
) -> UUID:
    """Open an escrow between two people, on a database that a running system uses; return its id."""
    database = await open_database(postgres_url)
    await book(database, [top_up(payer_id, 1_000)])
    opened = opening(payer_id, line("seller", 900, seller_id), line("commission", 100))
    answers = await step(database, opened)
    if frozen:
        answers += await step(database, FreezeEscrow(step_id=new_id(), escrow_id=opened.escrow_id))
    await database.close()
    assert not [answer for answer in answers if isinstance(answer, Refusal)]
    return opened.escrow_id


def quote_exchange(http: httpx.Client, headers: Mapping[str, str]) -> str:
    """Return a quote for a euro; a system that has just begun reads its rates in its first seconds."""
    body = {"sell": {"amount": 100, "currency": "EUR"}, "buy_currency": "USD"}
    while True:
        keyed = {**headers, "Idempotency-Key": str(new_id())}
        answer = http.post("/v1/exchange-quotes", json=body, headers=keyed)
        if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
            return str(answer.raise_for_status().json()["id"])
        time.sleep(0.1)


async def assert_books_are_right(pool: asyncpg.Pool) -> None:
    """Compare accounts, transfers and holds with one another, row by row."""
    assert (
        await pool.fetch("SELECT currency FROM accounts GROUP BY currency HAVING sum(balance_minor) <> 0")
        == []
    )
    sides = """
        SELECT debit_account AS account_id, debit_number AS number, -amount_minor AS change,
               debit_balance_minor AS balance FROM transfers
        UNION ALL SELECT credit_account, credit_number, amount_minor, credit_balance_minor FROM transfers"""
    wrong_lines = f"""
        SELECT * FROM (SELECT *, row_number() OVER line AS place, sum(change) OVER line AS running FROM ({sides}) AS s
        WINDOW line AS (PARTITION BY account_id ORDER BY number)) AS lines
        WHERE number <> place OR balance <> running"""  # noqa: S608 - constants
    assert await pool.fetch(wrong_lines) == []
    wrong_accounts = f"""
        SELECT a.account_id FROM accounts AS a LEFT JOIN ({sides}) AS s USING (account_id)
        GROUP BY a.account_id, a.balance_minor, a.entries
        HAVING coalesce(sum(s.change), 0) <> a.balance_minor OR count(s.number) <> a.entries"""  # noqa: S608
    assert await pool.fetch(wrong_accounts) == []
    wrong_holds = """
        SELECT * FROM (SELECT owner_id, currency, sum(balance_minor) AS held FROM accounts WHERE purpose = 'held'
        GROUP BY 1, 2) AS a FULL JOIN (SELECT owner_id, currency, sum(amount_minor) AS open FROM holds
        WHERE status = 'held' GROUP BY 1, 2) AS h USING (owner_id, currency)
        WHERE coalesce(held, 0) <> coalesce(open, 0)"""
    assert await pool.fetch(wrong_holds) == []
    wrong_escrows = """
        SELECT * FROM (SELECT owner_id AS escrow_id, currency, sum(balance_minor) AS balance FROM accounts
        WHERE purpose = 'escrow' GROUP BY 1, 2) AS a FULL JOIN (SELECT escrow_id, currency, kind,
        amount_minor - released_minor - refunded_minor AS rest FROM escrows) AS e USING (escrow_id, currency)
        WHERE e.kind IS NOT NULL AND coalesce(balance, 0) <> rest"""
    assert await pool.fetch(wrong_escrows) == []
    wrong_lines_of_escrows = """
        SELECT e.escrow_id FROM escrows AS e JOIN escrow_lines AS l USING (escrow_id) GROUP BY e.escrow_id
        HAVING (sum(l.amount_minor), sum(l.released_minor), sum(l.refunded_minor))
               <> (e.amount_minor, e.released_minor, e.refunded_minor)
            OR e.version <> (SELECT count(*) FROM escrow_steps AS s WHERE s.escrow_id = e.escrow_id)"""
    assert await pool.fetch(wrong_lines_of_escrows) == []
    limited = await pool.fetch(
        "SELECT 1 FROM accounts WHERE balance_minor < 0 AND purpose = ANY ($1)", list(LIMITED)
    )
    assert limited == []
