"""Which photos have files in the store, and who may see them."""

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from protocols.values import new_id
from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "photos.sql")


class PhotoRow(Struct, frozen=True, kw_only=True):
    """A photo as its listing's row keeps it."""

    photo_id: UUID
    width: int
    height: int
    caption: str = ""


async def hold_files(db: Connection, photo_id: UUID, listing_id: UUID, until_ms: int) -> UUID:
    """Keep files of a photo from deletion until an instant, listed or not; return the id to store them under.

    Cost: one round trip.
    """
    files_id: UUID = await db.fetchval(_sql.hold_files, photo_id, listing_id, until_ms, new_id())
    return files_id


async def read_held_until(db: Connection, photo_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return until when the files of these photos are held, without unknown ones. Cost: one round trip."""
    rows = await db.fetch(_sql.read_held_until, list(photo_ids))
    return {row["photo_id"]: row["held_until_ms"] for row in rows}


async def mark_unused(db: Connection, photo_ids: Sequence[UUID], now_ms: int) -> list[UUID]:
    """Mark the photos nobody holds or shows; return the ids of the files to delete. Cost: one round trip."""
    return [row["files_id"] for row in await db.fetch(_sql.mark_unused, list(photo_ids), now_ms)]


async def forget_files(db: Connection, files_id: UUID) -> None:
    """Forget a photo whose files were deleted, unless it came back meanwhile. Cost: one round trip."""
    await db.execute(_sql.forget_files, files_id)


async def read_owner(db: Connection, photo_id: UUID) -> tuple[str, UUID, UUID] | None:
    """Return (status, seller_id, files_id) of the listing that shows a photo. Cost: two primary key probes."""
    row = await db.fetchrow(_sql.read_owner, photo_id)
    return None if row is None else (row["status"], row["seller_id"], row["files_id"])
