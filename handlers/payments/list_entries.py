"""Read the movements of a wallet page by page, newest first."""

from typing import Annotated

from msgspec import Meta

from handlers.contract import Caller, Outcome, Stores
from protocols.cursors import read_cursor, write_cursor
from protocols.payments.commands import Entries, Entry, ListEntries
from protocols.payments.postings import Account
from protocols.values import to_timestamp
from storage.payments.accounts_postgres import EntryRow
from storage.payments.accounts_postgres import list_entries as read_entries

_NEWEST = 2**63 - 1
_Number = Annotated[int, Meta(ge=0, le=_NEWEST)]
"""Of the entry that a page is behind."""


async def list_entries(command: ListEntries, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return a page of what came and went of the caller's spendable money. Raises InvalidInput."""
    account = Account(caller.id, command.currency, "available")
    rows = await read_entries(
        stores.db, account, read_cursor(command.cursor, _Number, _NEWEST), command.limit + 1
    )
    page = rows[: command.limit]
    cursor = write_cursor(page[-1].number) if len(rows) > len(page) else None
    return Outcome(Entries(items=[to_entry(row) for row in page], next_cursor=cursor))


def to_entry(row: EntryRow) -> Entry:
    """Return a movement as its account shows it."""
    return Entry(
        id=row.transfer_id,
        number=row.number,
        amount=row.amount_minor,
        balance=row.balance_minor,
        reason=row.reason,  # type: ignore[arg-type]  # the table has what was written
        ref=row.ref,
        at=to_timestamp(row.at_ms),
    )
