"""What other domains may read of users. Read-only."""

from uuid import UUID

from storage.engines.postgres import Connection
from storage.sql import load

_sql = load(__file__, "lookups.sql")


async def user_exists(db: Connection, user_id: UUID) -> bool:
    """Return whether there is such a user. Cost: one primary key probe, no lock."""
    return bool(await db.fetchval(_sql.user_exists, user_id))
