"""Statements as files: CSV as it is read, PDF made in a thread."""

import asyncio
from collections.abc import AsyncIterator

from handlers.contract import Caller, Download, Preparation
from handlers.payments.statements.csv_lines import head_lines, row_lines, tail_lines
from handlers.payments.statements.pdf_pages import draw_statement
from handlers.payments.statements.rules import check_range
from handlers.payments.statements.sheet import Sheet
from protocols.errors import TemporarilyUnavailable
from protocols.payments.postings import Account
from protocols.payments.statements import GetStatement, StatementTooLong
from protocols.prices import check_currency
from protocols.values import now_instant, to_timestamp
from storage.payments.accounts_postgres import EntryRow
from storage.payments.statements_postgres import Part, find_part, list_part

CSV = "text/csv; charset=utf-8; header=present"
PDF = "application/pdf"

ROWS_AT_ONCE = 500
"""Of a CSV: some 60 KB, read in a few milliseconds; a slow client is waited for without a connection."""

PDF_ENTRIES_MAX = 1_000
"""Some 25 pages, a fifth of a second of a thread."""

PDFS_AT_ONCE_MAX = 2
"""PDFs being made in threads, per process; more are refused for the moment."""

_under_way: set[object] = set()


async def make_file(command: GetStatement, caller: Caller, preparation: Preparation) -> Download | None:
    """Return a statement as a file; None where JSON is asked for.

    Raises: InvalidInput, StatementTooLong, TemporarilyUnavailable.
    """
    if command.format == "json":
        return None
    check_currency(command.currency, "/currency")
    from_ms, until_ms = check_range(command.since, command.until, now_instant())
    account = Account(caller.id, command.currency, "available")
    async with preparation.connection() as db:
        part = await find_part(db, account, from_ms, until_ms)
    sheet = Sheet(
        owner_id=caller.id,
        currency=command.currency,
        from_ms=from_ms,
        until_ms=until_ms,
        opening_minor=part.opening_minor if part else 0,
        closing_minor=part.closing_minor if part else 0,
    )
    name = f"statement-{sheet.currency}-{to_timestamp(from_ms)[:10]}-{to_timestamp(until_ms)[:10]}"
    if command.format == "csv":
        return Download(name=f"{name}.csv", media_type=CSV, content=_stream(sheet, part, preparation))
    content = await _draw(sheet, part, preparation)
    return Download(name=f"{name}.pdf", media_type=PDF, content=content)


async def _stream(sheet: Sheet, part: Part | None, preparation: Preparation) -> AsyncIterator[bytes]:
    yield head_lines(sheet)
    after = 0
    while part is not None:
        async with preparation.connection() as db:
            rows = await list_part(db, part, after, ROWS_AT_ONCE)
        if not rows:
            break
        yield row_lines(sheet, rows)
        after = rows[-1].number
    yield tail_lines(sheet)


async def _draw(sheet: Sheet, part: Part | None, preparation: Preparation) -> bytes:
    rows: list[EntryRow] = []
    if part is not None:
        if part.entries > PDF_ENTRIES_MAX:
            raise StatementTooLong(entries=part.entries, maximum=PDF_ENTRIES_MAX)
        async with preparation.connection() as db:
            rows = await list_part(db, part, 0, PDF_ENTRIES_MAX)
    if len(_under_way) >= PDFS_AT_ONCE_MAX:
        raise TemporarilyUnavailable("Other statements are being made; try again in a second")
    place = object()
    _under_way.add(place)
    try:
        return await asyncio.to_thread(draw_statement, sheet, rows, now_instant())
    finally:
        _under_way.discard(place)
