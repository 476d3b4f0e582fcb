"""What other domains may read of users. Read-only."""

from collections.abc import Sequence
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "lookups.sql")


async def user_exists(db: Connection, user_id: UUID) -> bool:
    """Return whether there is such a user. Cost: one primary key probe, no lock."""
    return bool(await db.fetchval(_sql.user_exists, user_id))


async def find_shared_addresses(
    db: Connection, user_id: UUID, others: Sequence[UUID]
) -> dict[UUID, list[str]]:
    """Return the addresses that others share with a user in live sessions, for those who do.

    Cost: one round trip, an index range per user.
    """
    rows = await db.fetch(_sql.find_shared_addresses, user_id, list(others))
    return {row["user_id"]: row["addresses"] for row in rows}
