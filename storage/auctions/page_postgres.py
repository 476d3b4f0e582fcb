"""An auction's page in one statement, and so in one snapshot."""

from uuid import UUID

from asyncpg import Record

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "page.sql")


async def read_page(db: Connection, auction_id: UUID, user_id: UUID | None, bids: int) -> Record | None:
    """Return the columns of `read_page`, with up to so many newest bids, or None. Cost: one round trip, no lock."""
    return await db.fetchrow(_sql.read_page, auction_id, user_id, bids)
