"""What the approval commands share: the auction they are about, the view of a bidder's standing, a decision."""

from uuid import UUID

from handlers.auctions.guard_rules import check_decision
from handlers.auctions.locking import AuctionTerms, read_auction_terms
from handlers.contract import Event, Outcome, Stores
from protocols.auctions.guards import Approval, ApprovalChanged, ApprovalNotNeeded, ApprovalStatus
from protocols.errors import NotAllowed
from protocols.topics import personal_channel
from protocols.values import to_timestamp
from storage.auctions import guards_postgres
from storage.auctions.guards_postgres import ApprovalRow


async def read_own_approval_terms(stores: Stores, auction_id: UUID, seller_id: UUID) -> AuctionTerms:
    """Return the seller's own auction of approved bidders. Raises AuctionNotFound, NotAllowed, ApprovalNotNeeded."""
    terms = await read_auction_terms(stores.db, auction_id)
    if terms.sale.seller_id != seller_id:
        raise NotAllowed("Only the seller decides who may bid")
    if not terms.sale.needs_approval:
        raise ApprovalNotNeeded
    return terms


def to_approval(terms: AuctionTerms, row: ApprovalRow) -> Approval:
    """Return a row as the seller and the bidder see it."""
    decided_at_ms = row.decided_at_ms
    return Approval(
        auction_id=terms.auction_id,
        bidder_id=row.bidder_id,
        bidder=terms.mask(row.bidder_id),
        status=row.status,
        message=row.message,
        reason=row.reason,
        requested_at=to_timestamp(row.requested_at_ms),
        decided_at=None if decided_at_ms is None else to_timestamp(decided_at_ms),
    )


async def read_approval(stores: Stores, terms: AuctionTerms, bidder_id: UUID) -> Approval:
    """Return a standing that is known to be there, locked until commit."""
    row = await guards_postgres.lock_bidder(stores.db, terms.auction_id, bidder_id)
    assert row is not None, "rows of bidders are never deleted"
    return to_approval(terms, row)


async def decide(
    stores: Stores, terms: AuctionTerms, bidder_id: UUID, decision: ApprovalStatus, reason: str, now_ms: int
) -> Outcome:
    """Write what the seller says of a bidder and tell the bidder; said twice it is said once. Raises BidderNotFound."""
    row = await guards_postgres.lock_bidder(stores.db, terms.auction_id, bidder_id)
    events = []
    if check_decision(None if row is None else row.status, decision):
        await guards_postgres.decide_bidder(stores.db, terms.auction_id, bidder_id, decision, reason, now_ms)
        changed = ApprovalChanged(
            auction_id=terms.auction_id,
            title=terms.title,
            currency=terms.currency,
            status=decision,
            reason=reason,
        )
        events.append(Event(personal_channel(bidder_id), "approval_changed", changed))
    return Outcome(await read_approval(stores, terms, bidder_id), events)
