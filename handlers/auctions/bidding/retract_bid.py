"""Take bids back. Rules: rules.py `choose_retracted`, the auction's row of formats.py; take_backs.py."""

from handlers.auctions.guards.take_backs import take_back
from handlers.auctions.locking import Held, hold_one, save
from handlers.auctions.rules import StandingBid, choose_retracted, reserve_met
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.commands import RetractBid, Retraction
from protocols.auctions.refusals import BidNotRetractable
from protocols.errors import NotAllowed
from protocols.values import to_timestamp
from storage.auctions.bids_postgres import find_bid, read_own_bids


async def retract_bid(command: RetractBid, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Take back the caller's bids that rule 5 names and compute the price from the rest.

    Raises: AuctionNotFound, AuctionNotLive, NotAllowed, BidNotRetractable.
    """
    held = await hold_one(stores.db, command.auction_id)
    if held.lot.rules.retract is None:
        raise BidNotRetractable("A sealed bid can be replaced by another, not taken back")
    found = await find_bid(stores.db, command.auction_id, command.bid_id)
    if found is None:
        raise BidNotRetractable("There is no such bid in this auction")
    if found["bidder_id"] != caller.id:
        raise NotAllowed("This is not your bid")
    own = [StandingBid(*row) for row in await read_own_bids(stores.db, command.auction_id, caller.id)]
    gone = choose_retracted(held.state, own, found["number"], now_ms)
    events = await take_back(stores.db, held, caller.id, command.bid_id, gone, "retracted")
    await save(stores.db, [held])
    return Outcome(_reply(held, len(gone)), events, [held.latest()])


def _reply(held: Held, count: int) -> Retraction:
    state = held.state
    return Retraction(
        auction_id=held.lot.auction_id,
        offset=state.event_number,
        retracted=count,
        price=state.price,
        minimum_bid=state.minimum_bid,
        leader=held.leader,
        bid_count=state.bid_count,
        reserve_met=reserve_met(held.lot.terms, state),
        ends_at=to_timestamp(state.ends_at_ms),
    )
