"""Cancel an own auction. Rules: rules.py `cancel`."""

from handlers.auctions.announcements import announce_close
from handlers.auctions.formats.dutch_rules import stop_clock
from handlers.auctions.locking import hold_one, save
from handlers.auctions.rules import cancel
from handlers.auctions.sales import settle_ended, tell_moved
from handlers.auctions.views import to_auction
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.commands import CancelAuction
from storage.auctions.auctions_postgres import read_auction


async def cancel_auction(command: CancelAuction, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """End the auction without a sale; its pieces come back.

    Raises: AuctionNotFound, NotAllowed, AuctionNotLive, AuctionNotCancellable.
    """
    held = await hold_one(stores.db, command.auction_id)
    terms, before = held.lot.terms, held.state
    held.state = cancel(terms, before, caller.id, now_ms)
    if held.lot.rules.way == "clock" and before.status == "live":
        held.state = stop_clock(terms, held.state, now_ms)
    moved = await settle_ended(stores.db, [held], now_ms)
    await save(stores.db, [held])
    row = await read_auction(stores.db, command.auction_id)
    assert row is not None, "this transaction holds it"
    outcome = announce_close(held, now_ms, reply=to_auction(row, caller, stores.epoch, now_ms))
    return tell_moved(outcome, moved.get(command.auction_id, ()))
