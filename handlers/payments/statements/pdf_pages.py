"""A statement as PDF: A4, one line a movement, balances above and below."""

from collections.abc import Sequence
from datetime import UTC, datetime

from fpdf import FPDF

from handlers.payments.statements.rules import decimal_text
from handlers.payments.statements.sheet import Sheet
from protocols.values import to_timestamp
from storage.payments.accounts_postgres import EntryRow

_WIDTHS_MM = (42, 18, 36, 32, 32, 30)
_HEADS = ("Time (UTC)", "No.", "Reason", "Amount", "Balance", "About")
_LINE_MM = 6


class _Pages(FPDF):
    """Pages with the heads of the columns on top and their number below."""

    def __init__(self, title: str) -> None:
        super().__init__(format="A4")
        self._title = title

    def header(self) -> None:
        self.set_font("Helvetica", "B", 12)
        self.cell(0, 8, self._title, new_x="LMARGIN", new_y="NEXT")
        self.set_font("Helvetica", "B", 8)
        _line(self, _HEADS)
        self.set_font("Helvetica", "", 8)

    def footer(self) -> None:
        self.set_y(-15)
        self.set_font("Helvetica", "", 8)
        self.cell(0, 8, f"{self.page_no()}/{{nb}}", align="C")


def draw_statement(sheet: Sheet, rows: Sequence[EntryRow], made_at_ms: int) -> bytes:
    """Return the file. Cost: some 0.2 ms a movement; call it in a thread."""
    first, last = to_timestamp(sheet.from_ms), to_timestamp(sheet.until_ms)
    pages = _Pages(f"Statement of {sheet.currency}, {_minute(first)} until before {_minute(last)} UTC")
    pages.set_title(f"Statement of {sheet.currency}")
    pages.set_creation_date(datetime.fromtimestamp(made_at_ms / 1000, UTC))
    pages.add_page()
    pages.cell(0, _LINE_MM, f"Account of {sheet.owner_id}", new_x="LMARGIN", new_y="NEXT")
    _line(pages, (_minute(first), "", "opening balance", "", _amount(sheet, sheet.opening_minor), ""))
    for row in rows:
        _line(
            pages,
            (
                to_timestamp(row.at_ms)[:19].replace("T", " "),
                str(row.number),
                row.reason.replace("_", " "),
                _amount(sheet, row.amount_minor),
                _amount(sheet, row.balance_minor),
                str(row.ref)[-12:],
            ),
        )
    _line(pages, (_minute(last), "", "closing balance", "", _amount(sheet, sheet.closing_minor), ""))
    return bytes(pages.output())


def _line(pages: FPDF, cells: Sequence[str]) -> None:
    if pages.will_page_break(_LINE_MM):
        pages.add_page()
    for width_mm, text, head in zip(_WIDTHS_MM, cells, _HEADS, strict=True):
        pages.cell(width_mm, _LINE_MM, text, align="R" if head in {"No.", "Amount", "Balance"} else "L")
    pages.ln(_LINE_MM)


def _amount(sheet: Sheet, amount_minor: int) -> str:
    return decimal_text(amount_minor, sheet.currency)


def _minute(timestamp: str) -> str:
    return timestamp[:16].replace("T", " ")
