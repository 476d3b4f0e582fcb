"""Which devices have signed in to which account."""

from collections.abc import Sequence
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "devices.sql")


async def find_device(db: Connection, email: str, hashes: Sequence[bytes]) -> bytes | None:
    """Return the hash among these that the account of a normalised address knows, or None. Cost: one round trip."""
    found: bytes | None = await db.fetchval(_sql.find_device, email, hashes)
    return found


async def touch_device(db: Connection, user_id: UUID, hashes: Sequence[bytes], at_ms: int) -> bool:
    """Note that a device was used; False when the user knows none of these. Cost: one round trip."""
    return await db.fetchval(_sql.touch_device, user_id, hashes, at_ms) is not None


async def insert_device(db: Connection, user_id: UUID, marker_hash: bytes, at_ms: int, most: int) -> None:
    """Know a new device, and forget those beyond the `most` lately used. Cost: two round trips."""
    await db.execute(_sql.insert_device, user_id, marker_hash, at_ms)
    await db.execute(_sql.delete_surplus_devices, user_id, most)


async def delete_old_devices(db: Connection, before_ms: int, limit: int) -> int:
    """Forget devices last used before an instant, at most `limit`; return how many. Cost: one round trip."""
    return len(await db.fetch(_sql.delete_old_devices, before_ms, limit))
