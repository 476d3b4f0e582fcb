"""Read one's top-ups page by page, newest first."""

from uuid import UUID

from handlers.contract import Caller, Outcome, Stores
from handlers.payments.tools import PaymentTools
from handlers.payments.top_ups.views import to_top_up
from protocols.cursors import read_cursor, write_cursor
from protocols.payments.top_ups import ListTopUps, TopUps
from storage.payments import top_ups_postgres

_FIRST = UUID(int=2**128 - 1)


async def list_top_ups(command: ListTopUps, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return a page of the caller's top-ups. Raises InvalidInput."""
    before = read_cursor(command.cursor, UUID, _FIRST)
    rows = await top_ups_postgres.list_top_ups(stores.db, caller.id, before, command.limit + 1)
    page = rows[: command.limit]
    cursor = write_cursor(page[-1].top_up_id) if len(rows) > len(page) else None
    test_money = stores.need(PaymentTools).test_money
    return Outcome(TopUps(items=[to_top_up(row, test_money=test_money) for row in page], next_cursor=cursor))
