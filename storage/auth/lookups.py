"""What other domains may read of users. Read-only."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "lookups.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """When a factor was shown last, and by what one can be shown."""

    fresh_at_ms: int
    password_set: bool
    has_totp: bool


async def read_freshness(db: Connection, user_id: UUID, session_id: UUID | None) -> Freshness | None:
    """Return how fresh a user's session is; None without such a user. Cost: three primary key probes, no lock."""
    row = await db.fetchrow(_sql.read_freshness, user_id, session_id)
    return None if row is None else Freshness(**row)


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
