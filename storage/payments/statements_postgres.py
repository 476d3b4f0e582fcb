"""Statements: the part of an account's entries that belongs to a time, and the entries page by page."""

from dataclasses import dataclass

from protocols.payments.postings import Account
from storage.engines.postgres import Connection
from storage.payments.accounts_postgres import EntryRow
from storage.platform.sql import load

_sql = load(__file__, "statements.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Entries of an account from `first` until before `end`; none when both are the same."""

    account_id: int
    first: int
    end: int
    opening_minor: int
    closing_minor: int

    @property
    def entries(self) -> int:
        """How many there are."""
        return self.end - self.first


async def find_part(db: Connection, account: Account, from_ms: int, until_ms: int) -> Part | None:
    """Return what was booked on a user's account from one instant until before another; None without an account.

    Two parts that meet at an instant share no entry and miss none. Cost: five queries, some hundred probes at most.
    """
    row = await db.fetchrow(_sql.find_account, account.owner_id, account.currency, account.purpose)
    if row is None:
        return None
    account_id, entries = row["account_id"], row["entries"]
    first = await db.fetchval(_sql.find_entry, account_id, entries, from_ms)
    end = await db.fetchval(_sql.find_entry, account_id, entries, until_ms)
    return Part(
        account_id=account_id,
        first=first,
        end=end,
        opening_minor=await _balance_after(db, account_id, first - 1),
        closing_minor=await _balance_after(db, account_id, end - 1),
    )


async def list_part(db: Connection, part: Part, after: int, limit: int) -> list[EntryRow]:
    """Return entries of a part behind a number, oldest first. Cost: one round trip, two index ranges."""
    first = max(part.first, after + 1)
    rows = await db.fetch(_sql.list_entries_from, part.account_id, first, part.end, limit)
    return [EntryRow(**row) for row in rows]


async def _balance_after(db: Connection, account_id: int, number: int) -> int:
    rows = await db.fetch(_sql.list_entries_from, account_id, number, number + 1, 1)
    return rows[0]["balance_minor"] if rows else 0
