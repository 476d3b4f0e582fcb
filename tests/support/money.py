"""Money for tests: people who have some, and what must be true of the books whatever happened."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from protocols.payments.postings import LIMITED, PLATFORM, Account, Reason, Step, Transfer
from protocols.values import new_id, now_instant
from storage.engines.postgres import Database, open_database
from storage.payments.posting import Answer, post
from storage.payments.posting_rules import available

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
    async with database.transaction() as db:
        return await post(db, chains, now_ms or now_instant())


async def give_money(postgres_url: str, user_id: UUID) -> None:
    """Let money come in twice, on a database that a running system uses."""
    database = await open_database(postgres_url)
    await book(database, [top_up(user_id, 1_000)], [top_up(user_id, 500)])
    await database.close()


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
    limited = await pool.fetch(
        "SELECT 1 FROM accounts WHERE balance_minor < 0 AND purpose = ANY ($1)", list(LIMITED)
    )
    assert limited == []
