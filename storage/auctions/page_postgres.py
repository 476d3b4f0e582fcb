"""An auction's page in one statement, and so in one snapshot."""

from dataclasses import dataclass
from uuid import UUID

from storage.auctions.auctions_postgres import GuardedAuctionRow
from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "page.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRow(GuardedAuctionRow):
    """An auction with its listing, its seller, its newest bids, and what the reader has to do with it."""

    mask_salt: bytes
    title: str
    description: str
    category: str
    condition: str
    weight_g: int | None
    volume_cm3: int | None
    attributes: str
    """A JSON object."""
    listing_version: int
    display_name: str | None
    seller_since_ms: int | None
    allocated_amount: int | None
    """Of the reader's bid that gets units of several; None when it gets none."""
    allocated_quantity: int | None
    allocated_units: int | None
    watching: bool
    has_bid: bool
    remind_before_s: list[int] | None
    bids: str
    """A JSON array, newest first."""


async def read_page(db: Connection, auction_id: UUID, user_id: UUID | None, bids: int) -> PageRow | None:
    """Return an auction's page with up to `bids` newest bids, or None. Cost: one round trip, no lock."""
    row = await db.fetchrow(_sql.read_page, auction_id, user_id, bids)
    return PageRow(**row) if row else None
