"""Read the reports of the comparison with the provider's books."""

from datetime import date

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.tools import PaymentTools
from protocols.cursors import read_cursor, write_cursor
from protocols.payments.reconciliations import ListReconciliations, Reconciliation, Reconciliations
from protocols.values import to_timestamp
from storage.payments.reconciliations_postgres import list_differences, list_reports

DIFFERENCES_MAX = 100
"""Of each report; further ones are in the table and the log."""


async def list_reconciliations(
    command: ListReconciliations, _caller: Caller, stores: Stores, _now_ms: int
) -> Outcome:
    """Return a page of reports with their differences, the newest day first. Raises InvalidInput."""
    before = read_cursor(command.cursor, date, date.max)
    rows = await list_reports(stores.db, before, command.limit + 1)
    page = rows[: command.limit]
    found = await list_differences(stores.db, [row.report_id for row in page], DIFFERENCES_MAX)
    cursor = write_cursor(page[-1].day) if len(rows) > len(page) else None
    items = [
        Reconciliation(
            day=row.day.isoformat(),
            status=row.status,
            movements=row.movements,
            difference_count=row.differences,
            differences=found[row.report_id],
            finished_at=None if row.finished_at_ms is None else to_timestamp(row.finished_at_ms),
            test_money=stores.need(PaymentTools).test_money,
        )
        for row in page
    ]
    return Outcome(Reconciliations(items=items, next_cursor=cursor))
