"""Cancel an own auction. Rules: rules.py `cancel`."""

from handlers.auctions.announcements import announce_close
from handlers.auctions.formats.dutch_rules import stop_clock
from handlers.auctions.locking import lock_auction, save_auctions
from handlers.auctions.rules import cancel
from handlers.auctions.sales import add_movements, settle_ended
from handlers.auctions.views import to_auction
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.commands import CancelAuction
from storage.auctions.auctions_postgres import read_auction


async def cancel_auction(command: CancelAuction, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """End the auction without a sale; its pieces come back.

    Raises: AuctionNotFound, NotAllowed, AuctionNotLive, AuctionNotCancellable.
    """
    auction = await lock_auction(stores.db, command.auction_id)
    terms, before = auction.terms.sale, auction.state
    auction.state = cancel(terms, before, caller.id, now_ms)
    if auction.terms.rules.bid_mechanism == "clock" and before.status == "live":
        auction.state = stop_clock(terms, auction.state, now_ms)
    moved = await settle_ended(stores.db, [auction], now_ms)
    await save_auctions(stores.db, [auction])
    row = await read_auction(stores.db, command.auction_id)
    assert row is not None, "this transaction holds it"
    outcome = announce_close(auction, now_ms, reply=to_auction(row, caller, stores.epoch, now_ms))
    return add_movements(outcome, moved.get(command.auction_id, ()))
