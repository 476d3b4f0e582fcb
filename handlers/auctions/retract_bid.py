"""Take bids back. Rules: rules.py `choose_retracted`, `retract`."""

from handlers.auctions.lots import Held, hold_one, save
from handlers.auctions.rules import StandingBid, choose_retracted, reserve_met, retract
from handlers.auctions.sealed_bids import SEALED
from handlers.contract import Caller, Event, Outcome, Stores
from protocols.auctions import BidNotRetractable, BidRetracted, LeadingAgain, RetractBid, Retraction
from protocols.errors import NotAllowed
from protocols.topics import personal_channel
from protocols.values import to_timestamp
from storage.auctions.bids_postgres import find_bid, insert_retractions, read_deciding_bids, read_own_bids


async def retract_bid(command: RetractBid, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Take back the caller's bids that rule 5 names and compute the price from the rest.

    Raises: AuctionNotFound, AuctionNotLive, NotAllowed, BidNotRetractable.
    """
    held = await hold_one(stores.db, command.auction_id)
    if held.lot.terms.format in SEALED:
        raise BidNotRetractable("A sealed bid can be replaced by another, not taken back")
    found = await find_bid(stores.db, command.auction_id, command.bid_id)
    if found is None:
        raise BidNotRetractable("There is no such bid in this auction")
    if found["bidder_id"] != caller.id:
        raise NotAllowed("This is not your bid")
    own = [StandingBid(*row) for row in await read_own_bids(stores.db, command.auction_id, caller.id)]
    gone = choose_retracted(held.state, own, found["number"], now_ms)
    before = held.state
    await insert_retractions(stores.db, command.auction_id, gone, before.event_number + 1)
    deciding = [StandingBid(*row) for row in await read_deciding_bids(stores.db, command.auction_id)]
    held.state = retract(held.lot.terms, before, deciding, before.bid_count - len(gone))
    await save(stores.db, [held])
    events = [_event(held, command, caller, len(gone))]
    leader_id = held.state.leader_id
    if leader_id is not None and leader_id != before.leader_id:
        notice = LeadingAgain(command.auction_id, held.state.price)
        events.append(Event(personal_channel(leader_id), "leading_again", notice))
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


def _event(held: Held, command: RetractBid, caller: Caller, count: int) -> Event:
    state = held.state
    retracted = BidRetracted(
        bid_id=command.bid_id,
        bidder=held.lot.mask(caller.id),
        retracted=count,
        price=state.price,
        minimum_bid=state.minimum_bid,
        leader=held.leader,
        bid_count=state.bid_count,
        reserve_met=reserve_met(held.lot.terms, state),
        ends_at=to_timestamp(state.ends_at_ms),
    )
    return held.event("bid_retracted", retracted)
