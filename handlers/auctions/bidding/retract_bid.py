"""Take bids back. Rules: rules.py `choose_retracted`, the auction's row of formats/table.py; guards/retractions.py."""

from handlers.auctions.guards.retractions import take_back, to_standing_bid
from handlers.auctions.locking import LockedAuction, lock_auction, save_auctions
from handlers.auctions.rules import choose_retracted, reserve_met
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.commands import RetractBid, Retraction
from protocols.auctions.refusals import BidNotRetractable
from protocols.errors import NotAllowed
from protocols.values import to_timestamp
from storage.auctions.bids_postgres import find_bid, read_own_bids


async def retract_bid(command: RetractBid, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Take back those of the caller's bids that can go and compute the price from the rest.

    Raises: AuctionNotFound, AuctionNotLive, NotAllowed, BidNotRetractable.
    """
    auction = await lock_auction(stores.db, command.auction_id)
    if auction.terms.rules.retract is None:
        raise BidNotRetractable("A sealed bid can be replaced by another, not taken back")
    found = await find_bid(stores.db, command.auction_id, command.bid_id)
    if found is None:
        raise BidNotRetractable("There is no such bid in this auction")
    if found.bidder_id != caller.id:
        raise NotAllowed("This is not your bid")
    own = [to_standing_bid(row) for row in await read_own_bids(stores.db, command.auction_id, caller.id)]
    gone = choose_retracted(auction.state, own, found.number, now_ms)
    events = await take_back(stores.db, auction, caller.id, command.bid_id, gone, "retracted")
    await save_auctions(stores.db, [auction])
    return Outcome(_reply(auction, len(gone)), events, [auction.latest()])


def _reply(auction: LockedAuction, count: int) -> Retraction:
    state = auction.state
    return Retraction(
        auction_id=auction.terms.auction_id,
        offset=state.event_number,
        retracted=count,
        price=state.price,
        minimum_bid=state.minimum_bid,
        leader=auction.leader,
        bid_count=state.bid_count,
        reserve_met=reserve_met(auction.terms.sale, state),
        ends_at=to_timestamp(state.ends_at_ms),
    )
