"""The door through which another domain turns a reservation into a sale, in its own transaction."""

from dataclasses import dataclass, replace
from uuid import UUID

from storage.engines.postgres import Connection
from storage.listings.stock_postgres import (
    MovementRow,
    ReservationRow,
    StockRow,
    end_reservations,
    insert_movements,
    lock_stock,
    read_reservations,
    update_stock,
)


@dataclass(frozen=True, slots=True)
class Sale:
    """What was sold: the reservation with its frozen price, the stock afterwards, and the movement to announce."""

    reservation: ReservationRow
    stock: StockRow
    movement: MovementRow


async def sell_reserved(db: Connection, reservation_id: UUID, buyer_id: UUID, now_ms: int) -> Sale | None:
    """Take a buyer's reserved pieces off the shelf for good; None when the buyer holds no such reservation.

    The last piece sold makes the listing `sold`. The caller announces `movement` as the listing's event of its version.
    Cost: six round trips. Locks: the listing's row.
    """
    first = (await read_reservations(db, [reservation_id])).get(reservation_id)
    if first is None or first.buyer_id != buyer_id:
        return None
    before = (await lock_stock(db, [first.listing_id]))[first.listing_id]
    held = (await read_reservations(db, [reservation_id]))[
        reservation_id
    ]  # as it is now that nobody changes it
    if held.status != "held":
        return None
    left = before.quantity - held.quantity
    after = replace(
        before,
        version=before.version + 1,
        quantity=left,
        reserved=before.reserved - held.quantity,
        status="sold" if left == 0 else before.status,
    )
    movement = MovementRow(
        after.listing_id, after.version, "sale", held.quantity, left, after.reserved, reservation_id, now_ms
    )
    await end_reservations(db, [reservation_id], "sold")
    await update_stock(db, [after], now_ms)
    await insert_movements(db, [movement])
    return Sale(replace(held, status="sold"), after, movement)
