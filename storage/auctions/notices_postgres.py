"""What the sellers of auctions are told, as columns of their auctions."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "notices.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticesRow:
    """What a seller chose."""

    seller_id: UUID
    first_bid: bool
    reserve_met: bool
    prices: Sequence[int]


async def set_notices(
    db: Connection, auction_id: UUID, *, first_bid: bool, reserve_met: bool, prices: Sequence[int]
) -> None:
    """Keep what the seller of a locked auction is told. Cost: one round trip."""
    await db.execute(_sql.set_notices, auction_id, first_bid, reserve_met, prices)


async def read_notices(db: Connection, auction_id: UUID) -> NoticesRow | None:
    """Return what the seller of an auction is told, or None. Cost: one primary key probe."""
    row = await db.fetchrow(_sql.read_notices, auction_id)
    return NoticesRow(**row) if row else None
