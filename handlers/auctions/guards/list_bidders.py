"""Read who asked to bid in an own auction, page by page."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from handlers.auctions.guards.approvals import read_own_approval_terms, to_approval
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.guards import BidderList, ListBidders
from protocols.cursors import read_cursor, write_cursor
from storage.auctions import guards_postgres


class _Cursor(Struct, array_like=True, frozen=True):
    """When the last bidder of a page asked, and who it was."""

    requested_at_ms: Annotated[int, Meta(ge=0, le=2**53)]
    bidder_id: UUID


_FIRST = _Cursor(0, UUID(int=0))


async def list_bidders(
    command: ListBidders,
    caller: Caller,
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - as of now
) -> Outcome:
    """Return a page for the seller. Raises AuctionNotFound, NotAllowed, ApprovalNotNeeded, InvalidInput."""
    terms = await read_own_approval_terms(stores, command.auction_id, caller.id)
    after = read_cursor(command.cursor, _Cursor, _FIRST)
    rows = await guards_postgres.list_bidders(
        stores.db,
        command.auction_id,
        (after.requested_at_ms, after.bidder_id),
        command.status,
        command.limit + 1,
    )
    page = rows[: command.limit]
    more = len(rows) > command.limit
    next_cursor = write_cursor(_Cursor(page[-1].requested_at_ms, page[-1].bidder_id)) if more else None
    return Outcome(BidderList(items=[to_approval(terms, row) for row in page], next_cursor=next_cursor))
