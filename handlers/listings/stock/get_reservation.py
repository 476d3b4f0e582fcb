"""Read one own reservation."""

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.stock.reservations import to_reservation
from protocols.listings.stock import GetReservation, ReservationNotFound
from storage.listings.stock_postgres import read_reservations


async def get_reservation(command: GetReservation, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return the reservation as of now, whatever its status. Raises ReservationNotFound."""
    row = (await read_reservations(stores.db, [command.reservation_id])).get(command.reservation_id)
    if row is None or row.buyer_id != caller.id:
        raise ReservationNotFound
    return Outcome(to_reservation(row))
