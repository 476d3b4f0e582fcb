"""The auctions table: terms that never change beside the state that bids and time change.

States travel as plain tuples in the order of the first columns of `lock_states`; `handlers.auctions` gives them names.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, get_args
from uuid import UUID

from asyncpg import Record

from protocols.auctions.guards import Bidders
from protocols.auctions.terms import Format, Status
from storage.engines.postgres import Connection
from storage.platform.sql import load

_sql = load(__file__, "auctions.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsRow:
    """The columns of an auction that never change."""

    auction_id: UUID
    listing_id: UUID
    format: Format
    currency: str
    mask_salt: bytes
    seller_id: UUID
    starting_price: int
    reserve_price: int | None
    buy_now_price: int | None
    starts_at_ms: int
    planned_end_ms: int
    step_limits: Sequence[int]
    steps: Sequence[int]
    soft_close_ms: Sequence[int] | None
    """Window, extension; then the most extensions, which is a count."""
    fall: Sequence[int] | None
    """Of a Dutch auction: floor price, step, milliseconds of a tick."""
    sealed_key: bytes | None
    """Encrypted; of a sealed auction."""
    group_id: UUID | None
    quantity: int
    exposure_guard: bool
    wallet_guard: bool
    bidders: Bidders
    deposit_minor: int | None
    title: str
    """Of the goods."""
    is_final: bool
    """The auction has started, and the title does not change any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuctionRow:
    """An auction as of now, with what is secret: the leader and the leader's limit."""

    auction_id: UUID
    listing_id: UUID
    seller_id: UUID
    format: Format
    currency: str
    starting_price: int
    reserve_price: int | None
    buy_now_price: int | None
    starts_at_ms: int
    status: Status
    event_number: int
    price: int
    minimum_bid: int
    leader_id: UUID | None
    leader_max: int
    bid_count: int
    ends_at_ms: int
    extensions: int
    leader_mask: str | None
    fall: Sequence[int] | None
    """Of a Dutch auction: floor price, step, milliseconds of a tick."""
    group_id: UUID | None
    quantity: int
    goods: str
    """Title and first photo of the listing, as a JSON array."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAuctionRow(AuctionRow):
    """An auction in a list."""

    distance_m: float | None = None
    """Metres from the point that was asked for, if one was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedAuctionRow(AuctionRow):
    """An auction with its guards and how many watch it."""

    exposure_guard: bool
    wallet_guard: bool
    bidders: Bidders
    deposit_minor: int | None
    watchers: int | None
    """None when nobody has ever watched."""


async def insert_auction(db: Connection, columns: Sequence[Any]) -> None:
    """Write a new auction, with columns as in `insert_auction`. Cost: one round trip."""
    await db.execute(_sql.insert_auction, *columns)


async def read_open_formats(db: Connection, listing_id: UUID) -> list[Format]:
    """Return the formats of a listing's open auctions. Cost: one index range, no lock."""
    return [row["format"] for row in await db.fetch(_sql.read_open_formats, listing_id)]


async def lock_states(db: Connection, auction_ids: Iterable[UUID]) -> list[Record]:
    """Return the state rows of the auctions that exist, by id, locked until commit. Cost: one round trip."""
    return await db.fetch(_sql.lock_states, list(auction_ids))


async def read_terms(db: Connection, auction_ids: Iterable[UUID]) -> list[TermsRow]:
    """Return the unchanging columns of the auctions that exist. Cost: one round trip."""
    return [TermsRow(**row) for row in await db.fetch(_sql.read_terms, list(auction_ids))]


async def update_states(db: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write states of locked auctions: (auction_id, *state, leader_mask). Cost: one round trip, none for no rows."""
    if rows:
        await db.execute(_sql.update_states, *map(list, zip(*rows, strict=True)))


async def read_changed_states(db: Connection, known: Mapping[UUID, int]) -> list[Record]:
    """Return the state rows of auctions whose newest event is not the one known. Cost: one round trip, no lock."""
    return await db.fetch(_sql.read_changed_states, list(known), list(known.values()))


async def end_unchanged(db: Connection, known: Mapping[UUID, int], sold: Sequence[UUID]) -> list[UUID]:
    """End live auctions whose newest event is the one known, some of them sold, unless somebody holds them.

    Returns which. Cost: one round trip; waits for nobody.
    """
    rows = await db.fetch(_sql.end_unchanged, list(known), list(known.values()), sold)
    return [row[0] for row in rows]


async def read_auction(db: Connection, auction_id: UUID) -> GuardedAuctionRow | None:
    """Return one auction, or None. Cost: one round trip, no lock."""
    row = await db.fetchrow(_sql.read_auction, auction_id)
    return GuardedAuctionRow(**row) if row else None


async def read_auctions(db: Connection, auction_ids: Iterable[UUID]) -> list[AuctionRow]:
    """Return the auctions that exist. Cost: one round trip, no lock."""
    return [AuctionRow(**row) for row in await db.fetch(_sql.read_auctions, list(auction_ids))]


async def find_group_auctions(db: Connection, groups: Iterable[tuple[UUID, UUID | None]]) -> set[UUID]:
    """Return the open auctions of these (seller, group) pairs. Cost: one round trip, an index range per pair."""
    sellers, group_ids = zip(*groups, strict=True)
    return {row["auction_id"] for row in await db.fetch(_sql.find_group_auctions, sellers, group_ids)}


async def list_auctions(
    db: Connection, after: tuple[int, UUID], limit: int, status: str | None, seller_id: UUID | None
) -> list[ListedAuctionRow]:
    """Return up to `limit` auctions whose (end, id) is after the given one, ascending.

    Cost: one index range; of a seller one per status.
    """
    if seller_id is not None:
        statuses = [status] if status else get_args(Status)
        rows = await db.fetch(_sql.list_by_seller, *after, limit, seller_id, statuses)
    elif status is not None:
        rows = await db.fetch(_sql.list_by_status, *after, limit, status)
    else:
        rows = await db.fetch(_sql.list_by_end, *after, limit)
    return [ListedAuctionRow(**row) for row in rows]


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
    words: str | None = None
    """A text query of the listings' search."""
    condition: str | None = None

    @property
    def of_goods(self) -> bool:
        """Whether something is asked of the goods, which are another table's."""
        wanted = (self.categories, self.near, self.words, self.condition)
        return any(one is not None for one in wanted)


async def list_filtered(
    db: Connection, after: tuple[int, UUID], limit: int, wanted: AuctionFilter
) -> list[ListedAuctionRow]:
    """Return up to `limit` auctions like that whose (end, id) is after the given one, ascending.

    Cost: one index range, read until the page is full: filters that few auctions pass read many. What is asked of the
    goods is planned for these goods, in two round trips more.
    """
    *of_auction, categories, near, radius_m, words, condition = astuple(wanted)
    if not wanted.of_goods:
        rows = await db.fetch(_sql.list_filtered, *after, limit, *of_auction)
        return [ListedAuctionRow(**row) for row in rows]
    lat, lon = near or (None, None)
    async with db.transaction():
        await db.execute(_sql.plan_for_values)
        rows = await db.fetch(
            _sql.list_by_goods,
            *after,
            limit,
            *of_auction,
            categories,
            lat,
            lon,
            float(radius_m),
            words,
            condition,
        )
    return [ListedAuctionRow(**row) for row in rows]


async def read_statuses(db: Connection, auction_ids: Iterable[UUID]) -> dict[UUID, Status]:
    """Return the status of each auction that exists. Cost: one round trip, no lock."""
    return {row["auction_id"]: row["status"] for row in await db.fetch(_sql.read_statuses, list(auction_ids))}
