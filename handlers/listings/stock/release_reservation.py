"""Give back a reservation before its time is over."""

from dataclasses import replace

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.stock.expire_reservations import give_back
from handlers.listings.stock.reservations import to_reservation
from protocols.listings.stock import ReleaseReservation, ReservationNotFound, ReservationSold
from storage.listings.stock_postgres import read_reservations


async def release_reservation(
    command: ReleaseReservation, caller: Caller, stores: Stores, now_ms: int
) -> Outcome:
    """Release it; one that is released or expired already stays as it is.

    Raises: ReservationNotFound, ReservationSold.
    """
    known = (await read_reservations(stores.db, [command.reservation_id])).get(command.reservation_id)
    if known is None or known.buyer_id != caller.id:
        raise ReservationNotFound
    found, outcomes = await give_back(stores, [command.reservation_id], "released", now_ms)
    row = found[command.reservation_id]
    if row.status == "sold":
        raise ReservationSold
    if not outcomes:
        return Outcome(to_reservation(row))
    (ended,) = outcomes
    return Outcome(to_reservation(replace(row, status="released")), ended.events, ended.latest)
