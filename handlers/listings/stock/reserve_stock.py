"""Hold a quantity of a listing for a buyer, many buyers in one commit. Rules: stock/rules.py."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from handlers.contract import Call, Outcome, Stores, Timer
from handlers.listings.stock.reservations import StockBatch, to_reservation
from handlers.listings.stock.rules import RESERVED_FOR_MS, check_reservation, reserve
from protocols.errors import Refusal
from protocols.listings.stock import ReserveStock
from protocols.values import new_id
from storage.listings.stock_postgres import (
    ReservationRow,
    count_held,
    insert_reservations,
    lock_buyers,
    lock_stock,
)


async def reserve_stock(
    calls: Sequence[Call[ReserveStock]], stores: Stores, now_ms: int
) -> list[Outcome | Refusal]:
    """Reserve in order of arrival while stock lasts; each reservation has its price and a timer that ends it.

    Refuses with: ListingNotFound, OwnListing, ListingNotActive, Stale, ListingHasNoPrice, InsufficientStock,
    TooManyReservations.
    """
    buyer_ids = {call.caller.id for call in calls}
    await lock_buyers(stores.db, buyer_ids)
    held = Counter(await count_held(stores.db, buyer_ids))
    rows = await lock_stock(stores.db, {call.command.listing_id for call in calls})
    batch = StockBatch(rows, now_ms)
    made: list[ReservationRow] = []
    outcomes: list[Outcome | Refusal] = []
    for call in calls:
        try:
            outcomes.append(_reserve(call, batch, held, made, now_ms))
        except Refusal as refusal:
            outcomes.append(refusal)
    if made:
        await insert_reservations(stores.db, made)
        await batch.write(stores.db)
    return outcomes


def _reserve(
    call: Call[ReserveStock],
    batch: StockBatch,
    held: Counter[UUID],
    made: list[ReservationRow],
    now_ms: int,
) -> Outcome:
    command, buyer_id = call.command, call.caller.id
    check_reservation(batch.rows.get(command.listing_id), command, buyer_id, held[buyer_id])
    reservation_id = new_id()
    event, latest = batch.move(command.listing_id, "reserve", command.quantity, reservation_id, reserve)
    row = batch.rows[command.listing_id]
    assert row.price_minor is not None
    assert row.currency is not None, "the rules refuse a listing without a price"
    reservation = ReservationRow(
        reservation_id=reservation_id,
        listing_id=command.listing_id,
        buyer_id=buyer_id,
        quantity=command.quantity,
        price_minor=row.price_minor,
        currency=row.currency,
        listing_version=row.version,
        status="held",
        created_at_ms=now_ms,
        expires_at_ms=now_ms + RESERVED_FOR_MS,
    )
    made.append(reservation)
    held[buyer_id] += 1
    timer = Timer("expire_reservations", reservation_id, reservation.expires_at_ms)
    return Outcome(to_reservation(reservation), [event], [latest], [timer])
