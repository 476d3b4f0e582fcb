"""The auctions table: terms that never change beside the state that bids and time change.

States travel as plain tuples in the order of the columns of `lock_states`; `handlers.auctions` gives them names.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, TypeAlias, get_args
from uuid import UUID

from asyncpg import Record

from protocols.auctions.terms import Status
from storage.engines.postgres import Connection
from storage.platform.sql import load

Row: TypeAlias = Record
"""A row of the auctions table with the columns of the statement that read it."""

_sql = load(__file__, "auctions.sql")


async def insert_auction(db: Connection, columns: Sequence[Any]) -> bool:
    """Write a new auction (columns as in `insert_auction`); False when its listing is in an open auction already.

    Cost: one round trip. Locks: waits for a concurrent insert of the same listing.
    """
    return await db.fetchval(_sql.insert_auction, *columns) is not None


async def lock_states(db: Connection, auction_ids: Iterable[UUID]) -> list[Row]:
    """Return the state rows of the auctions that exist, by id, locked until commit. Cost: one round trip."""
    return await db.fetch(_sql.lock_states, list(auction_ids))


async def read_terms(db: Connection, auction_ids: Iterable[UUID]) -> list[Row]:
    """Return the unchanging columns of the auctions that exist. Cost: one round trip."""
    return await db.fetch(_sql.read_terms, list(auction_ids))


async def update_states(db: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write states of locked auctions: (auction_id, *state, leader_mask). Cost: one round trip, none for no rows."""
    if rows:
        await db.execute(_sql.update_states, *map(list, zip(*rows, strict=True)))


async def read_changed_states(db: Connection, known: Mapping[UUID, int]) -> list[Row]:
    """Return the state rows of auctions whose newest event is not the one known. Cost: one round trip, no lock."""
    return await db.fetch(_sql.read_changed_states, list(known), list(known.values()))


async def end_unchanged(db: Connection, known: Mapping[UUID, int], sold: Sequence[UUID]) -> list[UUID]:
    """End live auctions whose newest event is the one known, some of them sold, unless somebody holds them.

    Returns which. Cost: one round trip; waits for nobody.
    """
    rows = await db.fetch(_sql.end_unchanged, list(known), list(known.values()), sold)
    return [row[0] for row in rows]


async def read_auction(db: Connection, auction_id: UUID) -> Row | None:
    """Return all public columns of one auction and the leader's, or None. Cost: one round trip, no lock."""
    return await db.fetchrow(_sql.read_auction, auction_id)


async def read_auctions(db: Connection, auction_ids: Iterable[UUID]) -> list[Row]:
    """Return all public columns of the auctions that exist. Cost: one round trip, no lock."""
    return await db.fetch(_sql.read_auctions, list(auction_ids))


async def find_group_lots(db: Connection, groups: Iterable[tuple[UUID, UUID | None]]) -> set[UUID]:
    """Return the open auctions of these (seller, group) pairs. Cost: one round trip, an index range per pair."""
    sellers, group_ids = zip(*groups, strict=True)
    return {row["auction_id"] for row in await db.fetch(_sql.find_group_lots, sellers, group_ids)}


async def list_auctions(
    db: Connection, after: tuple[int, UUID], limit: int, status: str | None, seller_id: UUID | None
) -> list[Row]:
    """Return up to `limit` auctions whose (end, id) is after the given one, ascending.

    Cost: one index range; of a seller one per status.
    """
    if seller_id is not None:
        statuses = [status] if status else get_args(Status)
        return await db.fetch(_sql.list_by_seller, *after, limit, seller_id, statuses)
    if status is not None:
        return await db.fetch(_sql.list_by_status, *after, limit, status)
    return await db.fetch(_sql.list_by_end, *after, limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuctionFilter:
    """What auctions of a list have in common; None does not matter."""

    status: str
    ends_by_ms: int
    seller_id: UUID | None
    format: str | None
    currency: str | None
    price_min: int
    price_max: int
    has_bids: bool | None
    categories: Sequence[str] | None
    near: tuple[float, float] | None
    """Latitude and longitude in degrees."""
    radius_m: int

    @property
    def of_goods(self) -> bool:
        """Whether something is asked of the goods, which are another table's."""
        return self.categories is not None or self.near is not None


async def list_filtered(
    db: Connection, after: tuple[int, UUID], limit: int, wanted: AuctionFilter
) -> list[Row]:
    """Return up to `limit` auctions like that whose (end, id) is after the given one, ascending.

    Cost: one index range, read until the page is full: filters that few auctions pass read many. What is asked of the
    goods is planned for these goods, in two round trips more.
    """
    *of_auction, categories, near, radius_m = astuple(wanted)
    if not wanted.of_goods:
        return await db.fetch(_sql.list_filtered, *after, limit, *of_auction)
    lat, lon = near or (None, None)
    async with db.transaction():
        await db.execute(_sql.plan_for_values)
        return await db.fetch(
            _sql.list_by_goods, *after, limit, *of_auction, categories, lat, lon, float(radius_m)
        )


async def read_statuses(db: Connection, auction_ids: Iterable[UUID]) -> dict[UUID, Any]:
    """Return the status of each auction that exists. Cost: one round trip, no lock."""
    return {row["auction_id"]: row["status"] for row in await db.fetch(_sql.read_statuses, list(auction_ids))}
