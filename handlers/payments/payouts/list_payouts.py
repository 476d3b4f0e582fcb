"""Read one's payouts page by page, newest first."""

from uuid import UUID

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.payouts.views import to_payout
from handlers.payments.tools import PaymentTools
from protocols.cursors import read_cursor, write_cursor
from protocols.payments.payouts import ListPayouts, Payouts
from storage.payments import payouts_postgres

_FIRST = UUID(int=2**128 - 1)


async def list_payouts(command: ListPayouts, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return a page of the caller's payouts. Raises InvalidInput."""
    before = read_cursor(command.cursor, UUID, _FIRST)
    rows = await payouts_postgres.list_payouts(stores.db, caller.id, before, command.limit + 1)
    page = rows[: command.limit]
    cursor = write_cursor(page[-1].payout_id) if len(rows) > len(page) else None
    test_money = stores.need(PaymentTools).test_money
    return Outcome(Payouts(items=[to_payout(row, test_money=test_money) for row in page], next_cursor=cursor))
