"""Read auctions page by page, the soonest to end first."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from handlers.auctions.increments import refuse
from handlers.auctions.views import to_listed
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.commands import AuctionList, ListAuctions
from protocols.cursors import read_cursor, write_cursor
from protocols.listings.refusals import CategoryNotFound
from protocols.places import parse_near
from protocols.prices import check_price_range
from storage.auctions import auctions_postgres
from storage.auctions.auctions_postgres import AuctionFilter
from storage.listings.lookups import read_category_branch, read_search_words


class _Cursor(Struct, array_like=True, frozen=True):
    """The end and id of the last auction of a page."""

    ends_at_ms: Annotated[int, Meta(ge=0, le=2**53)]
    auction_id: UUID


_FILTERS = (
    "q",
    "category",
    "condition",
    "format",
    "currency",
    "min_price",
    "max_price",
    "ends_within_s",
    "has_bids",
    "near",
)

_NO_LIMIT = 2**53

_FIRST = _Cursor(0, UUID(int=0))


async def list_auctions(
    command: ListAuctions,
    caller: Caller,  # noqa: ARG001 - everybody sees the same
    stores: Stores,
    now_ms: int,
) -> Outcome:
    """Return a page; inserts between two pages neither repeat nor hide an auction.

    Raises: InvalidInput, CategoryNotFound.
    """
    seller_id = _seller_of(command)
    after = read_cursor(command.cursor, _Cursor, _FIRST)
    place, limit = (after.ends_at_ms, after.auction_id), command.limit + 1
    if any(getattr(command, name) not in {None, ""} for name in _FILTERS):
        wanted = await _read_filter(command, seller_id, stores, now_ms)
        rows = await auctions_postgres.list_filtered(stores.db, place, limit, wanted) if wanted else []
    else:
        rows = await auctions_postgres.list_auctions(stores.db, place, limit, command.status, seller_id)
    page = rows[: command.limit]
    more = len(rows) > command.limit
    next_cursor = write_cursor(_Cursor(page[-1].ends_at_ms, page[-1].auction_id)) if more else None
    return Outcome(AuctionList(items=[to_listed(row, now_ms) for row in page], next_cursor=next_cursor))


def _seller_of(command: ListAuctions) -> UUID | None:
    """Return whose auctions are asked for. Raises InvalidInput."""
    if command.seller is not None and command.seller_id not in {None, command.seller}:
        raise refuse("seller", "`seller` is the older name of `seller_id`: give one of them")
    return command.seller_id or command.seller


async def _read_filter(
    command: ListAuctions, seller_id: UUID | None, stores: Stores, now_ms: int
) -> AuctionFilter | None:
    """Return the filter a command asks for, or None when its words find nothing.

    Raises: InvalidInput, CategoryNotFound.
    """
    check_price_range(command.min_price, command.max_price, command.currency)
    categories = None
    if command.category:
        categories = await read_category_branch(stores.db, command.category)
        if not categories:
            raise CategoryNotFound
    words = None
    if command.q.strip():
        words = await read_search_words(stores.db, command.q)
        if words is None:
            return None
    within_s = command.ends_within_s
    return AuctionFilter(
        status=command.status or "live",
        ends_by_ms=_NO_LIMIT if within_s is None else now_ms + within_s * 1000,
        seller_id=seller_id,
        format=command.format,
        currency=command.currency,
        price_min=command.min_price or 0,
        price_max=_NO_LIMIT if command.max_price is None else command.max_price,
        has_bids=command.has_bids,
        categories=categories,
        near=parse_near(command.near) if command.near else None,
        radius_m=command.radius_m,
        words=words,
        condition=command.condition,
    )
