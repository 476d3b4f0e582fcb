"""Rows of listings and categories."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args
from uuid import UUID

import msgspec

from protocols.goods import Condition
from protocols.listings.commands import ListingStatus
from protocols.listings.stock_levels import StockLevel
from protocols.texts import FOLD_VERSION, fold
from protocols.values import to_json
from storage.engines.postgres import Connection
from storage.listings.photos_postgres import PhotoRow
from storage.platform.sql import load

if TYPE_CHECKING:
    from asyncpg import Record

_sql = load(__file__, "listings.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingRow(StockLevel):
    """A listing as the table keeps it; lat and lon are None together."""

    title: str
    description: str
    category: str
    condition: Condition
    lat: float | None
    lon: float | None
    weight_g: int | None
    volume_cm3: int | None
    attributes: dict[str, Any]
    created_at_ms: int
    updated_at_ms: int
    terms_version: int = 1
    """The version in which the seller last changed what a buyer agrees to."""
    photos: tuple[PhotoRow, ...] = ()
    """In their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryRow:
    """A category as the table keeps it."""

    slug: str
    name: str
    parent_slug: str | None


async def insert_listing(db: Connection, row: ListingRow) -> bool:
    """Add a listing at version 1; False when its id is there already. Cost: one round trip."""
    added = await db.fetchval(
        _sql.insert_listing,
        row.listing_id,
        row.seller_id,
        row.title,
        row.description,
        row.category,
        row.condition,
        row.price_minor,
        row.currency,
        row.lon,
        row.lat,
        row.weight_g,
        row.volume_cm3,
        row.quantity,
        to_json(row.attributes).decode(),
        row.created_at_ms,
        row.status,
        fold(row.title),
        fold(row.description),
        FOLD_VERSION,
    )
    return added is not None


async def read_listing_row(db: Connection, listing_id: UUID) -> ListingRow | None:
    """Return one listing as of now, or None. Cost: one round trip, one primary key probe, no lock."""
    record = await db.fetchrow(_sql.read_listing, listing_id)
    return None if record is None else _to_row(record)


async def lock_listing(db: Connection, listing_id: UUID) -> ListingRow | None:
    """Return one listing, or None; nobody else changes it until commit. Cost: one round trip."""
    record = await db.fetchrow(_sql.lock_listing, listing_id)
    return None if record is None else _to_row(record)


async def update_listing_row(db: Connection, row: ListingRow) -> None:
    """Write a locked listing back, all but its id, seller, creation and what is held of it. Cost: one round trip."""
    await db.execute(
        _sql.update_listing,
        row.listing_id,
        row.status,
        row.version,
        row.title,
        row.description,
        row.category,
        row.condition,
        row.price_minor,
        row.currency,
        row.lon,
        row.lat,
        row.weight_g,
        row.volume_cm3,
        row.quantity,
        to_json(row.attributes).decode(),
        row.updated_at_ms,
        row.terms_version,
        to_json(row.photos).decode(),
        fold(row.title),
        fold(row.description),
        FOLD_VERSION,
    )


async def delete_listing(db: Connection, listing_id: UUID) -> None:
    """Forget a locked draft. Cost: one round trip."""
    await db.execute(_sql.delete_listing, listing_id)


async def list_own(
    db: Connection, seller_id: UUID, before: UUID, limit: int, status: ListingStatus | None
) -> list[ListingRow]:
    """Return a seller's listings below an id, newest first. Cost: one index range per status."""
    statuses = [status] if status else get_args(ListingStatus)
    return [_to_row(row) for row in await db.fetch(_sql.list_own, seller_id, before, limit, statuses)]


async def read_categories(db: Connection) -> list[CategoryRow]:
    """Return the whole tree, parents before children, in display order. Cost: one round trip, about 100 rows."""
    return [CategoryRow(**row) for row in await db.fetch(_sql.read_categories)]


async def read_branch(db: Connection, slug: str) -> list[str]:
    """Return a category's slug and those of all its descendants; empty when there is none. Cost: one round trip."""
    return [row["slug"] for row in await db.fetch(_sql.read_branch, slug)]


def _to_row(record: "Record") -> ListingRow:
    attributes = msgspec.json.decode(record["attributes"])
    photos = msgspec.json.decode(record["photos"], type=tuple[PhotoRow, ...])
    return ListingRow(**{**dict(record), "attributes": attributes, "photos": photos})


async def count_listings(db: Connection, seller_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return how many listings each seller has made, without those who made none. Cost: one index range a seller."""
    return {row["seller_id"]: row["made"] for row in await db.fetch(_sql.count_listings, list(seller_ids))}


async def fold_listings(db: Connection, after: UUID, limit: int) -> list[UUID]:
    """Fold listings above an id that another version folded; return their ids, ascending. Cost: two round trips."""
    rows = await db.fetch(_sql.list_unfolded, after, FOLD_VERSION, limit)
    ids = [row["listing_id"] for row in rows]
    titles, descriptions = [fold(row["title"]) for row in rows], [fold(row["description"]) for row in rows]
    await db.execute(_sql.write_folded, ids, titles, descriptions, FOLD_VERSION)
    return ids
