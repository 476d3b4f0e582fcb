"""Stock: what is on hand, what of it buyers and auctions hold, and every movement of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args
from uuid import UUID

from protocols.listings.stock import MovementKind, ReservationStatus, StockMoved
from protocols.listings.stock_levels import StockLevel, StockRow
from storage.engines.postgres import Connection
from storage.platform.copying import copy_rows
from storage.platform.sql import load

_sql = load(__file__, "stock.sql")
_RESERVATION_COLUMNS = (
    "reservation_id",
    "listing_id",
    "buyer_id",
    "quantity",
    "price_minor",
    "currency",
    "listing_version",
    "status",
    "created_at_ms",
    "expires_at_ms",
)
_MOVEMENT_COLUMNS = (
    "listing_id",
    "version",
    "kind",
    "quantity",
    "on_hand",
    "reserved",
    "auctioned",
    "reservation_id",
    "auction_id",
    "at_ms",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationRow:
    """A quantity held for a buyer, as the table keeps it."""

    reservation_id: UUID
    listing_id: UUID
    buyer_id: UUID
    quantity: int
    price_minor: int
    currency: str
    listing_version: int
    status: ReservationStatus
    created_at_ms: int
    expires_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MovementRow:
    """One change of a listing's stock, and what it left; it may have been a reservation's or an auction's."""

    listing_id: UUID
    version: int
    kind: MovementKind
    quantity: int
    on_hand: int
    reserved: int
    auctioned: int
    reservation_id: UUID | None = None
    auction_id: UUID | None = None
    at_ms: int

    def to_event(self) -> StockMoved:
        """Return the event of this movement."""
        return StockMoved(
            kind=self.kind,
            quantity=self.quantity,
            on_hand=self.on_hand,
            reserved=self.reserved,
            auctioned=self.auctioned,
            reservation_id=self.reservation_id,
            auction_id=self.auction_id,
            version=self.version,
        )


def movement_of(
    after: StockLevel,
    kind: MovementKind,
    quantity: int,
    at_ms: int,
    *,
    reservation_id: UUID | None = None,
    auction_id: UUID | None = None,
) -> MovementRow:
    """Return the movement that left a listing like that."""
    return MovementRow(
        listing_id=after.listing_id,
        version=after.version,
        kind=kind,
        quantity=quantity,
        on_hand=after.quantity,
        reserved=after.reserved,
        auctioned=after.auctioned,
        reservation_id=reservation_id,
        auction_id=auction_id,
        at_ms=at_ms,
    )


async def lock_buyers(db: Connection, buyer_ids: Iterable[UUID]) -> None:
    """Let nobody else reserve for these buyers until commit; before any listing is locked. Cost: one round trip."""
    await db.execute(_sql.lock_buyers, list(buyer_ids))


async def lock_stock(db: Connection, listing_ids: Iterable[UUID]) -> dict[UUID, StockRow]:
    """Return the stock of listings that exist; nobody else changes it until commit. Cost: one round trip."""
    rows = await db.fetch(_sql.lock_stock, list(listing_ids))
    return {row["listing_id"]: StockRow(**row) for row in rows}


async def update_stock(db: Connection, rows: Sequence[StockRow], now_ms: int) -> None:
    """Write what moved of locked listings. Cost: one round trip."""
    values = ((r.listing_id, r.version, r.quantity, r.reserved, r.auctioned, r.status) for r in rows)
    await db.execute(_sql.update_stock, *map(list, zip(*values, strict=True)), now_ms)


async def count_held(db: Connection, buyer_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Return how many reservations each buyer holds, without those who hold none. Cost: one round trip."""
    return {row["buyer_id"]: row["held"] for row in await db.fetch(_sql.count_held, list(buyer_ids))}


async def insert_reservations(db: Connection, rows: Sequence[ReservationRow]) -> None:
    """Write new reservations. Cost: one round trip."""
    await copy_rows(db, "stock_reservations", rows, _RESERVATION_COLUMNS)


async def insert_movements(db: Connection, rows: Sequence[MovementRow]) -> None:
    """Write movements, each of a version of its own. Cost: one round trip."""
    await copy_rows(db, "stock_movements", rows, _MOVEMENT_COLUMNS)


async def read_reservations(db: Connection, reservation_ids: Iterable[UUID]) -> dict[UUID, ReservationRow]:
    """Return the reservations that exist. Cost: one round trip, no lock."""
    rows = await db.fetch(_sql.read_reservations, list(reservation_ids))
    return {row["reservation_id"]: ReservationRow(**row) for row in rows}


async def list_reservations(
    db: Connection, buyer_id: UUID, before: UUID, limit: int, status: ReservationStatus | None
) -> list[ReservationRow]:
    """Return a buyer's reservations below an id, newest first. Cost: one index range per status."""
    statuses = [status] if status else get_args(ReservationStatus)
    rows = await db.fetch(_sql.list_reservations, buyer_id, before, limit, statuses)
    return [ReservationRow(**row) for row in rows]


async def end_reservations(
    db: Connection, reservation_ids: Iterable[UUID], status: ReservationStatus
) -> None:
    """Give reservations of locked listings their last status. Cost: one round trip."""
    await db.execute(_sql.end_reservations, list(reservation_ids), status)


async def list_movements(db: Connection, listing_id: UUID, before: int, limit: int) -> list[MovementRow]:
    """Return movements of a listing below a version, newest first. Cost: one index range."""
    rows = await db.fetch(_sql.list_movements, listing_id, before, limit)
    return [MovementRow(**row) for row in rows]
