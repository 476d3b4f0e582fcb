"""The stock of locked listings while one transaction moves it: what moved, what is announced, what watchers see."""

from collections.abc import Callable
from uuid import UUID

from handlers.contract import Event, Latest
from handlers.listings.stock_rules import price_of, saleable
from protocols.stock import MovementKind, Reservation, Stock, StockMoved
from protocols.topics import listing_stream, stock_channel
from protocols.values import Money, to_timestamp
from storage.engines.postgres import Connection
from storage.listings.stock_postgres import (
    MovementRow,
    ReservationRow,
    StockRow,
    insert_movements,
    update_stock,
)


class StockBook:
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
        """Move pieces by a rule; return the audit event and what watchers see."""
        row = self.rows[listing_id] = rule(self.rows[listing_id], quantity)
        self._movements.append(
            MovementRow(
                listing_id,
                row.version,
                kind,
                quantity,
                row.quantity,
                row.reserved,
                reservation_id,
                self._now_ms,
            )
        )
        moved = StockMoved(
            kind=kind,
            quantity=quantity,
            on_hand=row.quantity,
            reserved=row.reserved,
            reservation_id=reservation_id,
            version=row.version,
        )
        return Event(listing_stream(listing_id), "stock_moved", moved, row.version), show_stock(row)

    async def write(self, db: Connection) -> None:
        """Write what moved, if anything."""
        if self._movements:
            moved = {movement.listing_id for movement in self._movements}
            await update_stock(db, [self.rows[listing_id] for listing_id in moved], self._now_ms)
            await insert_movements(db, self._movements)


def show_stock(row: StockRow) -> Latest:
    """Return what watchers of a listing see."""
    value = Stock(price=price_of(row), saleable=saleable(row), version=row.version, status=row.status)
    return Latest(stock_channel(row.listing_id), row.version, value)


def show_reservation(row: ReservationRow) -> Reservation:
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
