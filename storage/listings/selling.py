"""The door by which other domains sell pieces of a listing, in their own transaction. See decision 0062."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from storage.engines.postgres import Connection
from storage.sql import load

_sql = load(__file__, "selling.sql")

SALES_CHUNK = 50
"""Listings per statement: a sale leaves the index of active ones, and rewriting a long description's words takes up to
9 ms (1.3 ms for 300 words, measured); a statement may take 1.5 s."""


@dataclass(frozen=True, slots=True)
class SoldListing:
    """A listing after pieces of it were sold."""

    listing_id: UUID
    status: str
    """`sold` when these were the last pieces, else still `active`."""
    left: int
    """Pieces that are left."""
    version: int
    """The number of the event that has to tell it on the listing's stream, in the same transaction."""


async def sell_units(db: Connection, sales: Sequence[tuple[UUID, int]], now_ms: int) -> list[SoldListing]:
    """Take these numbers of pieces off active listings; one that is not active is left out.

    Cost: one round trip for every fifty. Locks: the listings by id; take it after auctions are locked and before they
    are written, because whoever opens an auction holds its listing and looks at auctions that were written.
    """
    ordered = sorted(sales)
    sold: list[SoldListing] = []
    for start in range(0, len(ordered), SALES_CHUNK):
        columns = map(list, zip(*ordered[start : start + SALES_CHUNK], strict=True))
        sold += [SoldListing(*row) for row in await db.fetch(_sql.sell_units, *columns, now_ms)]
    return sold
