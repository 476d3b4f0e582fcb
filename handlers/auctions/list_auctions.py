"""Read auctions page by page, the soonest to end first."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from handlers.auctions.cursors import read_cursor, write_cursor
from handlers.auctions.views import to_summary
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions import AuctionList, ListAuctions
from storage.auctions import auctions_postgres


class _Place(Struct, array_like=True, frozen=True):
    """The end and id of the last auction of a page."""

    ends_at_ms: Annotated[int, Meta(ge=0, le=2**53)]
    auction_id: UUID


_FIRST = _Place(0, UUID(int=0))


async def list_auctions(
    command: ListAuctions,
    caller: Caller,  # noqa: ARG001 - everybody sees the same
    stores: Stores,
    now_ms: int,
) -> Outcome:
    """Return a page; inserts between two pages neither repeat nor hide an auction. Raises InvalidInput."""
    after = _FIRST if command.cursor is None else read_cursor(command.cursor, _Place)
    rows = await auctions_postgres.list_auctions(
        stores.db, (after.ends_at_ms, after.auction_id), command.limit + 1, command.status, command.seller
    )
    page = rows[: command.limit]
    more = len(rows) > command.limit
    next_cursor = write_cursor(_Place(page[-1]["ends_at_ms"], page[-1]["auction_id"])) if more else None
    return Outcome(AuctionList([to_summary(row, now_ms) for row in page], next_cursor))
