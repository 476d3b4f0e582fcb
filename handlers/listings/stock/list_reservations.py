"""Read own reservations page by page, newest first."""

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.cursors import id_cursor, read_id
from handlers.listings.stock.reservations import to_reservation
from protocols.listings.stock import ListReservations, Reservations
from storage.listings.stock_postgres import list_reservations as list_rows


async def list_reservations(
    command: ListReservations, caller: Caller, stores: Stores, _now_ms: int
) -> Outcome:
    """Return a page of the caller's reservations. Raises InvalidInput."""
    before = read_id(command.cursor)
    rows = await list_rows(stores.db, caller.id, before, command.limit + 1, command.status)
    page = rows[: command.limit]
    cursor = id_cursor(page[-1].reservation_id) if len(rows) > len(page) else None
    return Outcome(Reservations(items=[to_reservation(row) for row in page], next_cursor=cursor))
