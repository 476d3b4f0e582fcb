"""Read a statement page by page, oldest first."""

from typing import Annotated

from msgspec import Meta

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.list_entries import to_entry
from handlers.payments.statements.rules import check_range
from protocols.cursors import read_cursor, write_cursor
from protocols.errors import InvalidInput
from protocols.payments.postings import Account
from protocols.payments.statements import GetStatement, Statement
from protocols.prices import check_currency
from protocols.values import to_timestamp
from storage.payments.statements_postgres import find_part, list_part

_Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""Of the entry that a page is behind."""


async def get_statement(command: GetStatement, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Return a page of what came and went in a time, with the balance before and after. Raises InvalidInput."""
    if command.format != "json":
        detail = "Files are answered over REST alone"
        raise InvalidInput(detail, errors=[{"pointer": "/format", "detail": detail}])
    check_currency(command.currency, "/currency")
    from_ms, until_ms = check_range(command.since, command.until, now_ms)
    after = read_cursor(command.cursor, _Number, 0)
    part = await find_part(stores.db, Account(caller.id, command.currency, "available"), from_ms, until_ms)
    rows = [] if part is None else await list_part(stores.db, part, after, command.limit + 1)
    page = rows[: command.limit]
    return Outcome(
        Statement(
            currency=command.currency,
            since=to_timestamp(from_ms),
            until=to_timestamp(until_ms),
            time_zone="UTC",
            opening=0 if part is None else part.opening_minor,
            closing=0 if part is None else part.closing_minor,
            entries=0 if part is None else part.entries,
            items=[to_entry(row) for row in page],
            next_cursor=write_cursor(page[-1].number) if len(rows) > len(page) else None,
        )
    )
