"""What other domains may read of listings. Read-only."""

from dataclasses import dataclass
from uuid import UUID

from storage.engines.postgres import Connection
from storage.sql import load

_sql = load(__file__, "lookups.sql")


@dataclass(frozen=True, slots=True)
class ListingFacts:
    """A listing as other domains see it; `price_minor` and `currency` are both None when it has no price."""

    listing_id: UUID
    seller_id: UUID
    status: str
    """`active`, `withdrawn` or `sold`."""
    title: str
    price_minor: int | None
    currency: str | None
    quantity: int


async def read_listing(db: Connection, listing_id: UUID) -> ListingFacts | None:
    """Return the facts of one listing as of now, or None. Cost: one round trip, one primary key probe, no lock."""
    row = await db.fetchrow(_sql.read_listing, listing_id)
    return ListingFacts(**row) if row else None


async def share_listing(db: Connection, listing_id: UUID) -> ListingFacts | None:
    """Return the facts of one listing and keep them true until this transaction ends, or None.

    Cost: one round trip, one primary key probe. Locks: the listing's row, shared; its owner's changes wait.
    """
    row = await db.fetchrow(_sql.share_listing, listing_id)
    return ListingFacts(**row) if row else None
