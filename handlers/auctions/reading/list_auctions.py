"""Read auctions page by page, the soonest to end first."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from handlers.auctions.views import to_listed
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.commands import AuctionList, ListAuctions
from protocols.cursors import read_cursor, write_cursor
from protocols.listings.refusals import CategoryNotFound
from protocols.places import parse_near
from protocols.prices import check_price_range
from storage.auctions import auctions_postgres
from storage.auctions.auctions_postgres import AuctionFilter
from storage.listings.lookups import read_category_branch


class _Cursor(Struct, array_like=True, frozen=True):
    """The end and id of the last auction of a page."""

    ends_at_ms: Annotated[int, Meta(ge=0, le=2**53)]
    auction_id: UUID


_FILTERS = ("category", "format", "currency", "min_price", "max_price", "ends_within_s", "has_bids", "near")

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
    after = read_cursor(command.cursor, _Cursor, _FIRST)
    place, limit = (after.ends_at_ms, after.auction_id), command.limit + 1
    if any(getattr(command, name) not in {None, ""} for name in _FILTERS):
        rows = await auctions_postgres.list_filtered(
            stores.db, place, limit, await _read_filter(command, stores, now_ms)
        )
    else:
        rows = await auctions_postgres.list_auctions(stores.db, place, limit, command.status, command.seller)
    page = rows[: command.limit]
    more = len(rows) > command.limit
    next_cursor = write_cursor(_Cursor(page[-1].ends_at_ms, page[-1].auction_id)) if more else None
    return Outcome(AuctionList(items=[to_listed(row, now_ms) for row in page], next_cursor=next_cursor))


async def _read_filter(command: ListAuctions, stores: Stores, now_ms: int) -> AuctionFilter:
    """Return the filter a command asks for. Raises InvalidInput, CategoryNotFound."""
    check_price_range(command.min_price, command.max_price, command.currency)
    categories = None
    if command.category:
        categories = await read_category_branch(stores.db, command.category)
        if not categories:
            raise CategoryNotFound
    within_s = command.ends_within_s
    return AuctionFilter(
        status=command.status or "live",
        ends_by_ms=_NO_LIMIT if within_s is None else now_ms + within_s * 1000,
        seller_id=command.seller,
        format=command.format,
        currency=command.currency,
        price_min=command.min_price or 0,
        price_max=_NO_LIMIT if command.max_price is None else command.max_price,
        has_bids=command.has_bids,
        categories=categories,
        near=parse_near(command.near) if command.near else None,
        radius_m=command.radius_m,
    )
