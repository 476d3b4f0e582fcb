"""The door through which other domains sell pieces, in their own transaction: reserved ones, or off the shelf."""

from collections.abc import Mapping
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

SALES_CHUNK = 50
"""Listings per statement: a sale that leaves the index of active ones rewrites the words of its description, up to 9 ms
(1.3 ms for 300 words, measured); a statement may take 1.5 s."""


@dataclass(frozen=True, slots=True)
class PiecesSold:
    """A listing's stock after pieces went off the shelf, and the movement to announce."""

    stock: StockRow
    movement: MovementRow


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


async def sell_pieces(db: Connection, pieces: Mapping[UUID, int], now_ms: int) -> list[PiecesSold]:
    """Take so many pieces that nobody holds off active listings; those without any left are left out.

    The last piece sold makes the listing `sold`. The caller announces `movement` as the listing's event of its version.
    Cost: three round trips, one more for every fifty. Locks: the listings by id; after auctions are locked and before
    they are written, because whoever opens an auction holds its listing and looks at auctions that were written.
    """
    if not pieces:
        return []
    sold: list[PiecesSold] = []
    for before in (await lock_stock(db, pieces)).values():
        taken = min(pieces[before.listing_id], before.quantity - before.reserved)
        if before.status != "active" or not taken:
            continue
        left, version = before.quantity - taken, before.version + 1
        status = before.status if left else "sold"
        after = replace(before, version=version, quantity=left, status=status)
        movement = MovementRow(after.listing_id, version, "sale", taken, left, after.reserved, None, now_ms)
        sold.append(PiecesSold(after, movement))
    for start in range(0, len(sold), SALES_CHUNK):
        await update_stock(db, [one.stock for one in sold[start : start + SALES_CHUNK]], now_ms)
    await insert_movements(db, [one.movement for one in sold])
    return sold
