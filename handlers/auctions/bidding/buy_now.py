"""Buy at the buy-now price, a Dutch auction at its current price.

Rules: rules.py `buy_now`, dutch_rules.py `accept`.
"""

from handlers.auctions.announcements import announce_close
from handlers.auctions.bidding.dutch_bids import BidRow, accept_price
from handlers.auctions.formats.dutch_rules import price_at
from handlers.auctions.guards.admission import open_guards
from handlers.auctions.locking import Held, hold_one, save
from handlers.auctions.rules import buy_now as judge_purchase
from handlers.auctions.sales import settle_ended, tell_moved
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.commands import BidReceipt, BuyNow
from protocols.values import new_id, to_timestamp
from storage.auctions.bids_postgres import insert_bids, insert_purchase


async def buy_now(command: BuyNow, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """End the auction as sold to the caller.

    Raises: AuctionNotFound, AuctionNotLive, OwnAuction, BuyNowUnavailable, and those of guards.py `admit`.
    """
    held = await hold_one(stores.db, command.auction_id)
    lot = held.lot
    guards = await open_guards(stores.db, {lot.auction_id: held}, [(lot.auction_id, caller.id)])
    if lot.rules.way == "clock":
        if guards is not None:
            guards.admit(held, caller.id, price_at(lot.terms, now_ms))
        rows: list[BidRow] = []
        outcome = accept_price(held, caller.id, None, now_ms, rows)
        await insert_bids(stores.db, rows)
        return await _sell(held, outcome, stores, now_ms)
    state = judge_purchase(lot.terms, held.state, caller.id, now_ms)
    if guards is not None:
        guards.admit(held, caller.id, state.price)
    held.state = state
    bid_id = new_id()
    await insert_purchase(
        stores.db, lot.auction_id, state.event_number, bid_id, caller.id, state.price, now_ms
    )
    receipt = BidReceipt(
        bid_id, state.event_number, "won", state.price, state.minimum_bid, to_timestamp(state.ends_at_ms)
    )
    return await _sell(held, announce_close(held, now_ms, reply=receipt, bought_now=True), stores, now_ms)


async def _sell(held: Held, outcome: Outcome, stores: Stores, now_ms: int) -> Outcome:
    """Write the sale, of the listing too."""
    moved = await settle_ended(stores.db, [held], now_ms)
    await save(stores.db, [held])
    return tell_moved(outcome, moved.get(held.lot.auction_id, ()))
