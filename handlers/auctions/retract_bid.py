"""Take bids back. Rules: rules.py `choose_retracted`, and `retract` in the auction's row of formats.py."""

from uuid import UUID

from handlers.auctions.lots import Held, hold_one, save
from handlers.auctions.rules import AuctionState, StandingBid, choose_retracted, reserve_met, units_of
from handlers.auctions.units import changes_of
from handlers.contract import Caller, Event, Outcome, Stores
from protocols.auctions import BidNotRetractable, BidRetracted, LeadingAgain, RetractBid, Retraction
from protocols.errors import NotAllowed
from protocols.topics import personal_channel
from protocols.values import to_timestamp
from storage.auctions.bids_postgres import (
    find_bid,
    insert_retractions,
    read_best_bids,
    read_deciding_bids,
    read_own_bids,
)


async def retract_bid(command: RetractBid, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Take back the caller's bids that rule 5 names and compute the price from the rest.

    Raises: AuctionNotFound, AuctionNotLive, NotAllowed, BidNotRetractable.
    """
    held = await hold_one(stores.db, command.auction_id)
    retract = held.lot.rules.retract
    if retract is None:
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
    held.state = retract(
        held.lot.terms, before, await _read_remaining(held, stores), before.bid_count - len(gone)
    )
    await save(stores.db, [held])
    events = [_event(held, before, command, caller, len(gone))]
    for user_id, units in _who_gained(before, held.state):
        notice = LeadingAgain(command.auction_id, held.state.price, units)
        events.append(Event(personal_channel(user_id), "leading_again", notice))
    return Outcome(_reply(held, len(gone)), events, [held.latest()])


async def _read_remaining(held: Held, stores: Stores) -> list[StandingBid]:
    """Return the standing bids that leader and price follow from, as the format's `retract` takes them."""
    lot = held.lot
    if lot.terms.quantity > 1:
        rows = await read_best_bids(stores.db, lot.auction_id, lot.terms.quantity)
    else:
        rows = await read_deciding_bids(stores.db, lot.auction_id, descending=lot.rules.descending)
    return [StandingBid(*row) for row in rows]


def _who_gained(before: AuctionState, after: AuctionState) -> list[tuple[UUID, int]]:
    """Return who leads, or has more units, because others went."""
    if after.leader_id is None:
        return []
    leaders = [place.bidder_id for place in after.places] or [after.leader_id]
    held = [(user_id, units_of(after, user_id)) for user_id in leaders]
    return [(user_id, units) for user_id, units in held if units > units_of(before, user_id)]


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


def _event(held: Held, before: AuctionState, command: RetractBid, caller: Caller, count: int) -> Event:
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
        units_held=changes_of(held, before) if held.lot.terms.quantity > 1 else None,
    )
    return held.event("bid_retracted", retracted)
