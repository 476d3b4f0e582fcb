"""Stock: what is on hand, what is reserved, and every movement of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args
from uuid import UUID

from protocols.stock import MovementKind, ReservationStatus
from storage.engines.postgres import Connection
from storage.sql import load

if TYPE_CHECKING:
    from asyncpg import Record

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
    "reservation_id",
    "at_ms",
)


@dataclass(frozen=True, slots=True)
class StockRow:
    """What can be sold of one listing; `quantity` is on hand, `reserved` a part of it."""

    listing_id: UUID
    seller_id: UUID
    status: str
    version: int
    terms_version: int
    price_minor: int | None
    currency: str | None
    quantity: int
    reserved: int


@dataclass(frozen=True, slots=True)
class ReservationRow:
    """Pieces held for a buyer, as the table keeps it."""

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


@dataclass(frozen=True, slots=True)
class MovementRow:
    """One change of a listing's stock, and what it left."""

    listing_id: UUID
    version: int
    kind: MovementKind
    quantity: int
    on_hand: int
    reserved: int
    reservation_id: UUID | None
    at_ms: int


async def lock_buyers(db: Connection, buyer_ids: Iterable[UUID]) -> None:
    """Let nobody else reserve for these buyers until commit; before any listing is locked. Cost: one round trip."""
    await db.execute(_sql.lock_buyers, list(buyer_ids))


async def lock_stock(db: Connection, listing_ids: Iterable[UUID]) -> dict[UUID, StockRow]:
    """Return the stock of listings that exist; nobody else changes it until commit. Cost: one round trip."""
    rows = await db.fetch(_sql.lock_stock, list(listing_ids))
    return {row["listing_id"]: StockRow(*row) for row in rows}


async def update_stock(db: Connection, rows: Sequence[StockRow], now_ms: int) -> None:
    """Write what moved of locked listings. Cost: one round trip."""
    columns = zip(*((r.listing_id, r.version, r.quantity, r.reserved, r.status) for r in rows), strict=True)
    await db.execute(_sql.update_stock, *(list(column) for column in columns), now_ms)


async def count_held(db: Connection, buyer_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Return how many reservations each buyer holds, without those who hold none. Cost: one round trip."""
    return {row["buyer_id"]: row["held"] for row in await db.fetch(_sql.count_held, list(buyer_ids))}


async def insert_reservations(db: Connection, rows: Sequence[ReservationRow]) -> None:
    """Write new reservations. Cost: one round trip."""
    await _copy(db, "stock_reservations", rows, _RESERVATION_COLUMNS)


async def insert_movements(db: Connection, rows: Sequence[MovementRow]) -> None:
    """Write movements, each of a version of its own. Cost: one round trip."""
    await _copy(db, "stock_movements", rows, _MOVEMENT_COLUMNS)


async def _copy(
    db: Connection, table: str, rows: Sequence[ReservationRow] | Sequence[MovementRow], columns: Sequence[str]
) -> None:
    records = [tuple(getattr(row, name) for name in columns) for row in rows]
    await db.copy_records_to_table(table, records=records, columns=columns)


async def read_reservations(db: Connection, reservation_ids: Iterable[UUID]) -> dict[UUID, ReservationRow]:
    """Return the reservations that exist. Cost: one round trip, no lock."""
    rows = await db.fetch(_sql.read_reservations, list(reservation_ids))
    return {row["reservation_id"]: ReservationRow(*row) for row in rows}


async def list_reservations(
    db: Connection, buyer_id: UUID, before: UUID, limit: int, status: ReservationStatus | None
) -> list[ReservationRow]:
    """Return a buyer's reservations below an id, newest first. Cost: one index range per status."""
    statuses = [status] if status else get_args(ReservationStatus)
    rows = await db.fetch(_sql.list_reservations, buyer_id, before, limit, statuses)
    return [ReservationRow(*row) for row in rows]


async def end_reservations(
    db: Connection, reservation_ids: Iterable[UUID], status: ReservationStatus
) -> None:
    """Give reservations of locked listings their last status. Cost: one round trip."""
    await db.execute(_sql.end_reservations, list(reservation_ids), status)


async def list_movements(db: Connection, listing_id: UUID, before: int, limit: int) -> "list[Record]":
    """Return (version, kind, quantity, on_hand, reserved, reservation_id, at_ms), newest first. Cost: one range."""
    return await db.fetch(_sql.list_movements, listing_id, before, limit)
