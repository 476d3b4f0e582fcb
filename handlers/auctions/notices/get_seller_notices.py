"""Read what the seller is told of an own auction."""

from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.refusals import AuctionNotFound
from protocols.auctions.seller_notices import GetSellerNotices, SellerNotices
from protocols.errors import NotAllowed
from storage.auctions.notices_postgres import read_notices


async def get_seller_notices(
    command: GetSellerNotices,
    caller: Caller,
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - as of now
) -> Outcome:
    """Return the choice of the caller's own auction. Raises AuctionNotFound, NotAllowed."""
    row = await read_notices(stores.db, command.auction_id)
    if row is None:
        raise AuctionNotFound
    if row.seller_id != caller.id:
        raise NotAllowed("Only the seller is told this")
    return Outcome(
        SellerNotices(
            auction_id=command.auction_id,
            first_bid=row.first_bid,
            reserve_met=row.reserve_met,
            prices=list(row.prices),
        )
    )
