"""Read the movements of an own listing's stock page by page, newest first."""

from handlers.contract import Caller, Outcome, Stores
from handlers.listings.changes import own_listing
from handlers.listings.cursors import number_cursor, read_number
from protocols.listings.stock import ListMovements, Movement, Movements
from protocols.values import to_timestamp
from storage.listings.listings_postgres import read_listing_row
from storage.listings.stock_postgres import list_movements as list_rows


async def list_movements(command: ListMovements, caller: Caller, stores: Stores, _now_ms: int) -> Outcome:
    """Return a page of movements. Raises ListingNotFound, NotAllowed, InvalidInput."""
    before = read_number(command.cursor)
    own_listing(await read_listing_row(stores.db, command.listing_id), caller.id)
    rows = await list_rows(stores.db, command.listing_id, before, command.limit + 1)
    page = rows[: command.limit]
    items = [
        Movement(
            version=row.version,
            kind=row.kind,
            quantity=row.quantity,
            on_hand=row.on_hand,
            reserved=row.reserved,
            auctioned=row.auctioned,
            reservation_id=row.reservation_id,
            auction_id=row.auction_id,
            at=to_timestamp(row.at_ms),
        )
        for row in page
    ]
    return Outcome(
        Movements(
            items=items, next_cursor=number_cursor(items[-1].version) if len(rows) > len(page) else None
        )
    )
