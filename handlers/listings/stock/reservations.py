"""The stock of locked listings while one transaction moves it: what moved, what is announced, what watchers see."""

from collections.abc import Callable
from uuid import UUID

from handlers.contract import Event, Latest
from handlers.listings.views import stock_value
from protocols.listings.channels import listing_stream
from protocols.listings.stock import MovementKind, Reservation
from protocols.listings.stock_levels import StockRow
from protocols.values import Money, to_timestamp
from storage.engines.postgres import Connection
from storage.listings.stock_postgres import (
    MovementRow,
    ReservationRow,
    insert_movements,
    movement_of,
    update_stock,
)


class StockBatch:
    """Moves stock in memory; `write` keeps what it came to."""

    def __init__(self, rows: dict[UUID, StockRow], now_ms: int) -> None:
        """Take rows whose locks this transaction holds."""
        self.rows = rows
        self._now_ms = now_ms
        self._movements: list[MovementRow] = []

    def move(
        self,
        listing_id: UUID,
        kind: MovementKind,
        quantity: int,
        reservation_id: UUID,
        rule: Callable[[StockRow, int], StockRow],
    ) -> tuple[Event, Latest]:
        """Move a quantity by a rule; return the audit event and what watchers see."""
        row = self.rows[listing_id] = rule(self.rows[listing_id], quantity)
        moved = movement_of(row, kind, quantity, self._now_ms, reservation_id=reservation_id)
        self._movements.append(moved)
        event = Event(listing_stream(listing_id), "stock_moved", moved.to_event(), row.version)
        return event, stock_value(row)

    async def write(self, db: Connection) -> None:
        """Write what moved, if anything."""
        if self._movements:
            moved = {movement.listing_id for movement in self._movements}
            await update_stock(db, [self.rows[listing_id] for listing_id in moved], self._now_ms)
            await insert_movements(db, self._movements)


def to_reservation(row: ReservationRow) -> Reservation:
    """Return a reservation as its buyer sees it."""
    return Reservation(
        reservation_id=row.reservation_id,
        listing_id=row.listing_id,
        quantity=row.quantity,
        unit_price=Money(row.price_minor, row.currency),
        listing_version=row.listing_version,
        status=row.status,
        created_at=to_timestamp(row.created_at_ms),
        expires_at=to_timestamp(row.expires_at_ms),
    )
