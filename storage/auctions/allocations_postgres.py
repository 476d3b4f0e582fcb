"""Who gets the units of auctions of several (table `auction_places`): rewritten under the lock of the auction's row."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "allocations.sql")

ALLOCATION_COLUMNS = ("auction_id", "place", "bidder_id", "amount", "quantity", "units", "number")


async def read_allocations(db: Connection, auction_ids: Iterable[UUID]) -> dict[UUID, list[tuple[Any, ...]]]:
    """Return (bidder_id, amount, quantity, units, number), best first, of each auction with any.

    Cost: one round trip.
    """
    allocations: defaultdict[UUID, list[tuple[Any, ...]]] = defaultdict(list)
    for auction_id, *allocation in await db.fetch(_sql.read_allocations, list(auction_ids)):
        allocations[auction_id].append(tuple(allocation))
    return allocations


async def replace_allocations(db: Connection, allocations: Mapping[UUID, Sequence[tuple[Any, ...]]]) -> None:
    """Write all allocations of these auctions, rows as `read_allocations` has them. Cost: two round trips if any."""
    if not allocations:
        return
    await db.execute(_sql.delete_allocations, list(allocations))
    rows = [(i, index, *row) for i, ranking in allocations.items() for index, row in enumerate(ranking)]
    await db.copy_records_to_table("auction_places", records=rows, columns=ALLOCATION_COLUMNS)
