"""Choose what the seller is told of an own auction while bids come. Rules: notice_rules.py."""

from handlers.auctions.guard_rules import OPEN
from handlers.auctions.increments import refuse
from handlers.auctions.locking import lock_auction
from handlers.auctions.notice_rules import refused_prices
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.refusals import AuctionNotLive
from protocols.auctions.seller_notices import SellerNotices, SetSellerNotices
from protocols.errors import NotAllowed
from storage.auctions.notices_postgres import set_notices


async def set_seller_notices(
    command: SetSellerNotices,
    caller: Caller,
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - it holds from the next bid on
) -> Outcome:
    """Keep the choice with the auction, from the next bid on.

    Raises: AuctionNotFound, NotAllowed, AuctionNotLive, InvalidInput.
    """
    auction = await lock_auction(stores.db, command.auction_id)
    sale = auction.terms.sale
    if sale.seller_id != caller.id:
        raise NotAllowed("Only the seller is told this")
    if auction.state.status not in OPEN:
        raise AuctionNotLive("The auction is over")
    prices = sorted(set(command.prices))
    for reason in refused_prices(sale, prices):
        raise refuse("prices", reason)
    await set_notices(
        stores.db,
        command.auction_id,
        first_bid=command.first_bid,
        reserve_met=command.reserve_met,
        prices=prices,
    )
    return Outcome(
        SellerNotices(
            auction_id=command.auction_id,
            first_bid=command.first_bid,
            reserve_met=command.reserve_met,
            prices=prices,
        )
    )
