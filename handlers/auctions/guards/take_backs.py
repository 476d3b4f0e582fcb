"""Bids that are taken back: by their bidder, with the bidder's approval, or because nothing covers them any more.

A bid that comes to lead again counts against its bidder's exposure again, and its bidder may have used what was free
for other bids by then: such bids go too, highest first, until those that lead are covered.
"""

from collections.abc import Collection
from typing import Literal
from uuid import UUID

from handlers.auctions.guard_rules import grown, held_of
from handlers.auctions.guards.exposure import Exposures, lock_cover
from handlers.auctions.locking import Held
from handlers.auctions.rules import AuctionState, StandingBid, reserve_met, units_of
from handlers.auctions.units import changes_of
from handlers.contract import Event
from protocols.auctions.events import BidRetracted, LeadingAgain
from protocols.auctions.guards import BidsTakenBack
from protocols.topics import personal_channel
from protocols.values import to_timestamp
from storage.auctions.bids_postgres import insert_retractions, read_best_bids, read_deciding_bids
from storage.auctions.guards_postgres import find_standing_bidders, read_standing_bids
from storage.engines.postgres import Connection

Reason = Literal["retracted", "not_covered", "bidder_revoked"]


async def take_back(
    db: Connection, held: Held, bidder: UUID, bid_id: UUID, gone: Collection[int], reason: Reason
) -> list[Event]:
    """Take these bids of a bidder, named by one of them, out of a locked auction; `save` is left to the caller.

    Cost: three round trips; in a guarded auction two more, and four for each bidder whose bids are not covered.
    """
    before = held.state
    exposures: Exposures | None = None
    if held.lot.terms.exposure_guard:
        pairs = {(who, held.lot.currency) for who in await find_standing_bidders(db, held.lot.auction_id)}
        exposures = await lock_cover(db, pairs)
    events = await _take(db, held, bidder, bid_id, gone, reason, exposures)
    while exposures is not None and (uncovered := _find_uncovered(before, held, exposures)) is not None:
        who, cover = uncovered
        rows = await read_standing_bids(db, held.lot.auction_id, who)
        above = [row for row in rows if row["amount"] * row["quantity"] > cover]
        numbers = [row["number"] for row in above]
        events += await _take(db, held, who, above[-1]["bid_id"], numbers, "not_covered", exposures)
    for user_id, units in _who_gained(before, held.state):
        notice = LeadingAgain(held.lot.auction_id, held.state.price, units)
        events.append(Event(personal_channel(user_id), "leading_again", notice))
    return events


def _find_uncovered(before: AuctionState, held: Held, exposures: Exposures) -> tuple[UUID, int] | None:
    """Return the best bidder who leads with more than before and than is covered, and how much is."""
    for bidder in grown(before, held.state):
        cover = exposures.cover(held.lot, held.state, bidder)
        if held_of(held.state, bidder) > cover:
            return bidder, cover
    return None


async def _take(
    db: Connection,
    held: Held,
    bidder: UUID,
    bid_id: UUID,
    gone: Collection[int],
    reason: Reason,
    exposures: Exposures | None,
) -> list[Event]:
    """Take the bids of one bidder and tell it, to the bidder too unless it was the bidder's own wish."""
    before, lot = held.state, held.lot
    await insert_retractions(db, lot.auction_id, gone, before.event_number + 1)
    retract = lot.rules.retract
    assert retract is not None, "bids of this format can be taken back"
    remaining = await _read_remaining(db, held)
    held.state = state = retract(lot.terms, before, remaining, before.bid_count - len(gone))
    if exposures is not None:
        exposures.follow(lot, before, state)
    retracted = BidRetracted(
        bid_id=bid_id,
        bidder=lot.mask(bidder),
        retracted=len(gone),
        price=state.price,
        minimum_bid=state.minimum_bid,
        leader=held.leader,
        bid_count=state.bid_count,
        reserve_met=reserve_met(lot.terms, state),
        ends_at=to_timestamp(state.ends_at_ms),
        units_held=changes_of(held, before) if lot.terms.quantity > 1 else None,
        reason=reason,
    )
    events = [held.event("bid_retracted", retracted)]
    if reason != "retracted":
        told = BidsTakenBack(lot.auction_id, reason, len(gone))
        events.append(Event(personal_channel(bidder), "bids_taken_back", told))
    return events


async def _read_remaining(db: Connection, held: Held) -> list[StandingBid]:
    """Return the standing bids that leader and price follow from, as the format's `retract` takes them."""
    lot = held.lot
    if lot.terms.quantity > 1:
        rows = await read_best_bids(db, lot.auction_id, lot.terms.quantity)
    else:
        rows = await read_deciding_bids(db, lot.auction_id, descending=lot.rules.descending)
    return [StandingBid(*row) for row in rows]


def _who_gained(before: AuctionState, after: AuctionState) -> list[tuple[UUID, int]]:
    """Return who leads, or has more units, because others went."""
    if after.leader_id is None:
        return []
    leaders = [place.bidder_id for place in after.places] or [after.leader_id]
    held = [(user_id, units_of(after, user_id)) for user_id in leaders]
    return [(user_id, units) for user_id, units in held if units > units_of(before, user_id)]
