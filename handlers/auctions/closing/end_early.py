"""End an own auction early by selling to those who lead. Rules: rules.py `end_early`, formats.py `bars`."""

from handlers.auctions.announcements import announce_close
from handlers.auctions.locking import hold_one, save
from handlers.auctions.rules import end_early as judge_ending
from handlers.auctions.sales import settle_ended, tell_moved
from handlers.auctions.views import to_auction
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.guards import EndEarly
from storage.auctions.auctions_postgres import read_auction


async def end_early(command: EndEarly, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Sell to who leads at the price of now. Raises AuctionNotFound, NotAllowed, AuctionNotLive, AuctionNotEndable."""
    held = await hold_one(stores.db, command.auction_id)
    barred = held.lot.rules.bars.get("end_early")
    held.state = judge_ending(held.lot.terms, held.state, caller.id, now_ms, barred=barred)
    moved = await settle_ended(stores.db, [held], now_ms)
    await save(stores.db, [held])
    row = await read_auction(stores.db, command.auction_id)
    assert row is not None, "this transaction holds it"
    reply = to_auction(row, caller, stores.epoch, now_ms)
    outcome = announce_close(held, now_ms, reply=reply, ended_early=True)
    return tell_moved(outcome, moved.get(command.auction_id, ()))
