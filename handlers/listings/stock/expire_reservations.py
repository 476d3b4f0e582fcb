"""Timer: reservations whose time is over give back what they held."""

from collections.abc import Sequence
from uuid import UUID

from handlers.contract import Outcome, Stores
from handlers.listings.stock.reservations import StockBatch
from handlers.listings.stock.rules import Ended, release
from storage.listings.stock_postgres import ReservationRow, end_reservations, lock_stock, read_reservations


async def expire_reservations(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Expire the reservations that are still held; those that were released or sold stay as they are."""
    _, outcomes = await give_back(stores, refs, "expired", now_ms)
    return outcomes


async def give_back(
    stores: Stores, reservation_ids: Sequence[UUID], how: Ended, now_ms: int
) -> tuple[dict[UUID, ReservationRow], list[Outcome]]:
    """End the held ones of these reservations; return all of them as they were, and an outcome per ended one."""
    known = await read_reservations(stores.db, reservation_ids)
    batch = StockBatch(await lock_stock(stores.db, {row.listing_id for row in known.values()}), now_ms)
    found = await read_reservations(stores.db, known)  # as they are now that nobody changes them
    held = [row for row in found.values() if row.status == "held"]
    outcomes = []
    for row in held:
        event, latest = batch.move(row.listing_id, "release", row.quantity, row.reservation_id, release)
        outcomes.append(Outcome(None, [event], [latest]))
    if held:
        await end_reservations(stores.db, [row.reservation_id for row in held], how)
        await batch.write(stores.db)
    return found, outcomes
