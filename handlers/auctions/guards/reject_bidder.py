"""Turn one down who asked to bid in an own auction."""

from handlers.auctions.guards.approvals import decide, read_own_approval_terms
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.guards import RejectBidder


async def reject_bidder(command: RejectBidder, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Reject the request and say why. Raises AuctionNotFound, NotAllowed, ApprovalNotNeeded, BidderNotFound."""
    terms = await read_own_approval_terms(stores, command.auction_id, caller.id)
    return await decide(stores, terms, command.bidder_id, "rejected", command.reason, now_ms)
