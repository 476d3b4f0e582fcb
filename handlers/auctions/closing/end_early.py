"""End an own auction early by selling to those who lead. Rules: rules.py `end_early`, `FormatRules.unsupported`."""

from handlers.auctions.announcements import announce_close
from handlers.auctions.locking import lock_auction, save_auctions
from handlers.auctions.rules import end_early as apply_early_end
from handlers.auctions.sales import add_movements, settle_ended
from handlers.auctions.views import to_auction
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.guards import EndEarly
from storage.auctions.auctions_postgres import read_auction


async def end_early(command: EndEarly, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Sell to who leads at the price of now. Raises AuctionNotFound, NotAllowed, AuctionNotLive, AuctionNotEndable."""
    auction = await lock_auction(stores.db, command.auction_id)
    unsupported = auction.terms.rules.unsupported.get("end_early")
    auction.state = apply_early_end(
        auction.terms.sale, auction.state, caller.id, now_ms, unsupported=unsupported
    )
    moved = await settle_ended(stores.db, [auction], now_ms)
    await save_auctions(stores.db, [auction])
    row = await read_auction(stores.db, command.auction_id)
    assert row is not None, "this transaction holds it"
    reply = to_auction(row, caller, stores.epoch, now_ms)
    outcome = announce_close(auction, now_ms, reply=reply, ended_early=True)
    return add_movements(outcome, moved.get(command.auction_id, ()))
