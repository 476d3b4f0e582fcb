"""The state of the books: totals of the last check, and what the audit of accounts found."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from protocols.payments.postings import Purpose
from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "treasury.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRow:
    """What was last found."""

    checked_at_ms: int
    totals: list[dict[str, Any]]
    """As `write_totals` got them; none before the first check."""
    audited_account: int
    audited_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedRow:
    """An account, and what its transfers say up to an entry."""

    account_id: int
    owner_id: UUID
    currency: str
    purpose: Purpose
    balance_minor: int
    entries: int
    number: int
    """The last entry that was added up before."""
    upto: int
    """The last that is added up now; less than `entries` where there was too much to add."""
    known: bool
    """It was wrong when it was last looked at."""
    expected_minor: int

    @property
    def is_wrong(self) -> bool:
        """Whether all was added up, and the balance is another."""
        return self.upto == self.entries and self.expected_minor != self.balance_minor

    @property
    def is_right(self) -> bool:
        """Whether all was added up, and gives the balance."""
        return self.upto == self.entries and self.expected_minor == self.balance_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRow:
    """An account whose balance is not the sum of its transfers."""

    owner_id: UUID
    currency: str
    purpose: Purpose
    balance_minor: int
    expected_minor: int
    found_at_ms: int


async def read_state(db: Connection) -> StateRow:
    """Return what was last found. Cost: one row."""
    row = await db.fetchrow(_sql.read_state)
    assert row is not None, "the migration wrote the row"
    return StateRow(**{**row, "totals": json.loads(row["totals"])})


async def write_totals(db: Connection, totals: Sequence[dict[str, Any]], now_ms: int) -> None:
    """Keep the totals of a check. Cost: one round trip."""
    await db.execute(_sql.write_totals, now_ms, json.dumps(totals))


async def write_audited(db: Connection, account_id: int, ended_at_ms: int = 0) -> None:
    """Keep after which account the audit goes on, and when it came to the end of all. Cost: one round trip."""
    await db.execute(_sql.write_audited, account_id, ended_at_ms)


async def add_up_accounts(db: Connection, after: int, accounts_max: int, entries_max: int) -> list[AddedRow]:
    """Return the next accounts with their new transfers added up. Cost: one query, `entries_max` rows at most."""
    rows = await db.fetch(_sql.add_up_accounts, after, accounts_max, entries_max)
    return [AddedRow(**{**row, "expected_minor": int(row["expected_minor"])}) for row in rows]


async def write_checks(db: Connection, rows: Sequence[AddedRow], now_ms: int) -> None:
    """Keep how far these were added up, which are wrong, and which are no longer. Cost: three round trips at most."""
    if moved := [(row.account_id, row.upto, row.expected_minor) for row in rows if row.upto > row.number]:
        await db.execute(_sql.write_checks, *map(list, zip(*moved, strict=True)))
    if wrong := [(row.account_id, row.expected_minor) for row in rows if row.is_wrong]:
        await db.execute(_sql.write_faults, *map(list, zip(*wrong, strict=True)), now_ms)
    if mended := [row.account_id for row in rows if row.is_right and row.known]:
        await db.execute(_sql.delete_faults, mended)


async def list_faults(db: Connection, limit: int) -> list[FaultRow]:
    """Return the accounts that are wrong, the first found first. Cost: one probe for each."""
    rows = await db.fetch(_sql.list_faults, limit)
    return [FaultRow(**{**row, "expected_minor": int(row["expected_minor"])}) for row in rows]


async def count_faults(db: Connection) -> int:
    """Return how many accounts are wrong. Cost: reads the table of faults, which is empty."""
    return int(await db.fetchval(_sql.count_faults))
