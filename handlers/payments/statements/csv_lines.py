"""The lines of a statement as CSV. Source: RFC 4180; every instant is UTC, and the names of columns say so."""

from collections.abc import Sequence

from handlers.payments.statements.rules import decimal_text, text_cell
from handlers.payments.statements.sheet import Sheet
from protocols.values import to_timestamp
from storage.payments.accounts_postgres import EntryRow

COLUMNS = ("at_utc", "number", "reason", "amount", "balance", "currency", "ref", "transfer_id")


def head_lines(sheet: Sheet) -> bytes:
    """Return the names of the columns and the line of the opening balance."""
    opening = decimal_text(sheet.opening_minor, sheet.currency)
    first = (to_timestamp(sheet.from_ms), "", "opening_balance", "", opening, sheet.currency, "", "")
    return _line(COLUMNS) + _line(first)


def row_lines(sheet: Sheet, rows: Sequence[EntryRow]) -> bytes:
    """Return a line for each movement."""
    return b"".join(
        _line(
            (
                to_timestamp(row.at_ms),
                str(row.number),
                text_cell(row.reason),
                decimal_text(row.amount_minor, sheet.currency),
                decimal_text(row.balance_minor, sheet.currency),
                text_cell(sheet.currency),
                str(row.ref),
                str(row.transfer_id),
            )
        )
        for row in rows
    )


def tail_lines(sheet: Sheet) -> bytes:
    """Return the line of the closing balance: a file without it was cut off."""
    closing = decimal_text(sheet.closing_minor, sheet.currency)
    return _line((to_timestamp(sheet.until_ms), "", "closing_balance", "", closing, sheet.currency, "", ""))


def _line(cells: Sequence[str]) -> bytes:
    return ",".join(cells).encode() + b"\r\n"
