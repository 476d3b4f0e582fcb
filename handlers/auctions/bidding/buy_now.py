"""Buy at the buy-now price, a Dutch auction at its current price.

Rules: rules.py `buy_now`, dutch_rules.py `accept`.
"""

from handlers.auctions.announcements import announce_close
from handlers.auctions.bidding.dutch_bids import accept_price
from handlers.auctions.formats.dutch_rules import price_at
from handlers.auctions.guards.admission import read_guards
from handlers.auctions.locking import LockedAuction, lock_auction, save_auctions
from handlers.auctions.rules import buy_now as apply_purchase
from handlers.auctions.sales import add_movements, settle_ended
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.commands import BidReceipt, BuyNow
from protocols.values import new_id, to_timestamp
from storage.auctions.bids_postgres import insert_bids, insert_purchase


async def buy_now(command: BuyNow, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """End the auction as sold to the caller.

    Raises: AuctionNotFound, AuctionNotLive, OwnAuction, BuyNowUnavailable, and those of `Guards.admit`.
    """
    auction = await lock_auction(stores.db, command.auction_id)
    terms = auction.terms
    guards = await read_guards(stores.db, {terms.auction_id: auction}, [(terms.auction_id, caller.id)])
    if terms.rules.bid_mechanism == "clock":
        if guards is not None:
            guards.admit(auction, caller.id, price_at(terms.sale, now_ms))
        purchase = accept_price(auction, caller.id, None, now_ms)
        await insert_bids(stores.db, [purchase.row])
        return await _sell(auction, purchase.to_outcome(), stores, now_ms)
    state = apply_purchase(terms.sale, auction.state, caller.id, now_ms)
    if guards is not None:
        guards.admit(auction, caller.id, state.price)
    auction.state = state
    bid_id = new_id()
    await insert_purchase(
        stores.db, terms.auction_id, state.event_number, bid_id, caller.id, state.price, now_ms
    )
    receipt = BidReceipt(
        bid_id=bid_id,
        offset=state.event_number,
        outcome="won",
        price=state.price,
        minimum_bid=state.minimum_bid,
        ends_at=to_timestamp(state.ends_at_ms),
    )
    return await _sell(
        auction, announce_close(auction, now_ms, reply=receipt, bought_now=True), stores, now_ms
    )


async def _sell(auction: LockedAuction, outcome: Outcome, stores: Stores, now_ms: int) -> Outcome:
    """Write the sale, of the listing too."""
    moved = await settle_ended(stores.db, [auction], now_ms)
    await save_auctions(stores.db, [auction])
    return add_movements(outcome, moved.get(auction.terms.auction_id, ()))
