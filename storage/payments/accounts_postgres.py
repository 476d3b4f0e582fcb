"""Accounts: locked for a posting, read for wallets, statements and the trial balance."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from protocols.payments.postings import PLATFORM, Account, Purpose
from storage.engines.postgres import Connection
from storage.payments.posting_rules import AccountRow
from storage.platform.sql import load

_sql = load(__file__, "accounts.sql")

STRIPES = 32
"""Rows of one of the market's own accounts: a process always uses the same, so processes seldom wait for each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceRow:
    """What an owner has under one purpose."""

    currency: str
    purpose: Purpose
    balance_minor: int
    frozen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRow:
    """One side of a transfer, as its account shows it: the amount is negative where money left."""

    transfer_id: UUID
    number: int
    amount_minor: int
    balance_minor: int
    reason: str
    ref: UUID
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TotalRow:
    """The sum of all accounts of a purpose, or of all open holds."""

    currency: str
    purpose: str
    balance_minor: int


def _stripe(account: Account) -> int:
    return os.getpid() % STRIPES if account.owner_id == PLATFORM else 0


def _columns(accounts: Iterable[Account]) -> list[list[object]]:
    rows = [(a.owner_id, a.currency, a.purpose, _stripe(a)) for a in accounts]
    return [list(column) for column in zip(*rows, strict=True)]


async def lock_accounts(db: Connection, accounts: Iterable[Account]) -> dict[Account, AccountRow]:
    """Return these accounts, made where there were none; nobody else books on them until commit.

    Whoever makes accounts has locked none yet, and all are locked in one order, so two never wait for each other.
    Cost: one round trip, three when one is new.
    """
    wanted = set(accounts)
    found = await _lock(db, wanted)
    if not found:
        await db.execute(_sql.create_accounts, *_columns(wanted))
        found = await _lock(db, wanted)
    return found


async def _lock(db: Connection, accounts: set[Account]) -> dict[Account, AccountRow]:
    rows = await db.fetch(_sql.lock_accounts, *_columns(accounts))
    return {
        Account(row["owner_id"], row["currency"], row["purpose"]): AccountRow(
            account_id=row["account_id"],
            balance_minor=row["balance_minor"],
            entries=row["entries"],
            frozen=row["frozen"],
        )
        for row in rows
    }


async def update_accounts(db: Connection, rows: Sequence[AccountRow]) -> None:
    """Write the balances of locked accounts. Cost: one round trip."""
    values = ((row.account_id, row.balance_minor, row.entries) for row in rows)
    await db.execute(_sql.update_accounts, *map(list, zip(*values, strict=True)))


async def freeze_account(db: Connection, account: Account, *, frozen: bool) -> None:
    """Freeze or thaw an account of a user or a deal. Cost: one round trip."""
    await db.execute(_sql.freeze_account, account.owner_id, account.currency, account.purpose, frozen)


async def read_wallets(db: Connection, owner_id: UUID) -> list[BalanceRow]:
    """Return what an owner has, by currency and purpose. Cost: one index range."""
    return [BalanceRow(**row) for row in await db.fetch(_sql.read_wallets, owner_id)]


async def find_debts(db: Connection, accounts: Iterable[Account]) -> list[tuple[UUID, str]]:
    """Return owner and currency of those of these accounts whose owners owe something. Cost: one round trip."""
    pairs = {(account.owner_id, account.currency) for account in accounts}
    rows = await db.fetch(_sql.find_debts, *map(list, zip(*pairs, strict=True)))
    return [(row["owner_id"], row["currency"]) for row in rows]


async def list_entries(db: Connection, account: Account, before: int, limit: int) -> list[EntryRow]:
    """Return entries of a user's account below a number, newest first. Cost: two round trips, two index ranges."""
    account_id = await db.fetchval(_sql.find_account, account.owner_id, account.currency, account.purpose)
    if account_id is None:
        return []
    return [EntryRow(**row) for row in await db.fetch(_sql.list_entries, account_id, before, limit)]


async def read_totals(db: Connection) -> list[TotalRow]:
    """Return the totals of the books at one instant. Cost: reads every account and every open hold."""
    rows = await db.fetch(_sql.read_totals)
    return [
        TotalRow(currency=r["currency"], purpose=r["purpose"], balance_minor=int(r["balance_minor"]))
        for r in rows
    ]
