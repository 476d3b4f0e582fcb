"""Bids that are taken back: by their bidder, with the bidder's approval, or because nothing covers them any more.

A bid that comes to lead again counts against its bidder's exposure again, and its bidder may have used what was free
for other bids by then: such bids go too, highest first, until those that lead are covered.
"""

from collections.abc import Collection
from typing import Literal
from uuid import UUID

from handlers.auctions.allocations import allocation_changes
from handlers.auctions.guard_rules import exposure_in, find_increased
from handlers.auctions.guards.exposure import Exposures, lock_exposures_of
from handlers.auctions.locking import LockedAuction
from handlers.auctions.rules import AuctionState, StandingBid, reserve_met, units_of
from handlers.contract import Event
from protocols.auctions.events import BidRetracted, LeadingAgain
from protocols.auctions.guards import BidsTakenBack
from protocols.topics import personal_channel
from protocols.values import to_timestamp
from storage.auctions.bids_postgres import (
    StandingBidRow,
    insert_retractions,
    read_best_bids,
    read_deciding_bids,
)
from storage.auctions.guards_postgres import find_standing_bidders, read_standing_bids
from storage.engines.postgres import Connection

Reason = Literal["retracted", "not_covered", "bidder_revoked"]


async def take_back(
    db: Connection, auction: LockedAuction, bidder: UUID, bid_id: UUID, gone: Collection[int], reason: Reason
) -> list[Event]:
    """Take these bids of a bidder, named by one of them, out of a locked auction; `save` is left to the caller.

    Cost: three round trips; in a guarded auction two more, and four for each bidder whose bids are not covered.
    """
    before = auction.state
    exposures: Exposures | None = None
    if auction.terms.sale.exposure_guard:
        pairs = {
            (who, auction.terms.currency) for who in await find_standing_bidders(db, auction.terms.auction_id)
        }
        exposures = await lock_exposures_of(db, pairs, pairs if auction.terms.sale.wallet_guard else ())
    events = await _take(db, auction, bidder, bid_id, gone, reason, exposures)
    while exposures is not None and (uncovered := _find_uncovered(before, auction, exposures)) is not None:
        who, cover = uncovered
        rows = await read_standing_bids(db, auction.terms.auction_id, who)
        above = [row for row in rows if row.amount * row.quantity > cover]
        numbers = [row.number for row in above]
        events += await _take(db, auction, who, above[-1].bid_id, numbers, "not_covered", exposures)
    for user_id, units in _who_gained(before, auction.state):
        notice = LeadingAgain(
            auction_id=auction.terms.auction_id,
            title=auction.terms.title,
            currency=auction.terms.currency,
            price=auction.state.price,
            units=units,
        )
        events.append(Event(personal_channel(user_id), "leading_again", notice))
    return events


def _find_uncovered(
    before: AuctionState, auction: LockedAuction, exposures: Exposures
) -> tuple[UUID, int] | None:
    """Return the best bidder who leads with more than before and than is covered, and how much is."""
    for bidder in find_increased(before, auction.state):
        cover = exposures.cover(auction.terms, auction.state, bidder)
        if exposure_in(auction.state, bidder) > cover:
            return bidder, cover
    return None


async def _take(
    db: Connection,
    auction: LockedAuction,
    bidder: UUID,
    bid_id: UUID,
    gone: Collection[int],
    reason: Reason,
    exposures: Exposures | None,
) -> list[Event]:
    """Take the bids of one bidder and tell it, to the bidder too unless it was the bidder's own wish."""
    before, terms = auction.state, auction.terms
    await insert_retractions(db, terms.auction_id, gone, before.event_number + 1)
    retract = terms.rules.retract
    assert retract is not None, "bids of this format can be taken back"
    remaining = await _read_remaining(db, auction)
    auction.state = state = retract(terms.sale, before, remaining, before.bid_count - len(gone))
    if exposures is not None:
        exposures.follow(terms, before, state)
    retracted = BidRetracted(
        bid_id=bid_id,
        bidder=terms.mask(bidder),
        retracted=len(gone),
        price=state.price,
        minimum_bid=state.minimum_bid,
        leader=auction.leader,
        bid_count=state.bid_count,
        reserve_met=reserve_met(terms.sale, state),
        ends_at=to_timestamp(state.ends_at_ms),
        units_held=allocation_changes(auction, before) if terms.sale.quantity > 1 else None,
        reason=reason,
    )
    events = [auction.event("bid_retracted", retracted)]
    if reason != "retracted":
        taken_back = BidsTakenBack(
            auction_id=terms.auction_id,
            title=terms.title,
            currency=terms.currency,
            reason=reason,
            retracted=len(gone),
        )
        events.append(Event(personal_channel(bidder), "bids_taken_back", taken_back))
    return events


async def _read_remaining(db: Connection, auction: LockedAuction) -> list[StandingBid]:
    """Return the standing bids that leader and price follow from, as the format's `retract` takes them."""
    terms = auction.terms
    if terms.sale.quantity > 1:
        rows = await read_best_bids(db, terms.auction_id, terms.sale.quantity)
    else:
        rows = await read_deciding_bids(db, terms.auction_id, descending=terms.rules.descending)
    return [to_standing_bid(row) for row in rows]


def to_standing_bid(row: StandingBidRow) -> StandingBid:
    """Return a row as the rules take it."""
    return StandingBid(
        number=row.number,
        bidder_id=row.bidder_id,
        amount=row.amount,
        at_ms=row.at_ms,
        quantity=row.quantity,
    )


def _who_gained(before: AuctionState, after: AuctionState) -> list[tuple[UUID, int]]:
    """Return who leads, or has more units, because others went."""
    if after.leader_id is None:
        return []
    leaders = [allocation.bidder_id for allocation in after.allocations] or [after.leader_id]
    current = [(user_id, units_of(after, user_id)) for user_id in leaders]
    return [(user_id, units) for user_id, units in current if units > units_of(before, user_id)]
