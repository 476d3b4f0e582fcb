"""What other domains and the channel log may read of listings. Read-only."""

from dataclasses import dataclass
from uuid import UUID

from protocols.stock import Stock
from protocols.values import Money
from storage.engines.postgres import Connection
from storage.sql import load

_sql = load(__file__, "lookups.sql")


@dataclass(frozen=True, slots=True)
class ListingFacts:
    """A listing as other domains see it; `price_minor` and `currency` are both None when it has no price."""

    listing_id: UUID
    seller_id: UUID
    status: str
    """`draft`, `active`, `withdrawn` or `sold`."""
    title: str
    price_minor: int | None
    currency: str | None
    quantity: int
    """What is on hand."""
    saleable: int
    """What of it is not reserved by anybody."""


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


async def read_stock(db: Connection, listing_id: UUID) -> tuple[int, Stock] | None:
    """Return the newest value of a listing's stock channel with its number; None for a draft or none.

    Cost: one primary key probe.
    """
    row = await db.fetchrow(_sql.read_stock, listing_id)
    if row is None:
        return None
    price_minor, currency, saleable, version, status = row
    price = None if price_minor is None else Money(price_minor, currency)
    return version, Stock(price=price, saleable=saleable, version=version, status=status)
