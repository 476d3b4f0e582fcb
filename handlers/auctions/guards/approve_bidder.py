"""Let one who asked bid in an own auction."""

from handlers.auctions.guards.approvals import decide, read_own_approval_terms
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.guards import ApproveBidder


async def approve_bidder(command: ApproveBidder, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Approve the bidder. Raises AuctionNotFound, NotAllowed, ApprovalNotNeeded, BidderNotFound."""
    terms = await read_own_approval_terms(stores, command.auction_id, caller.id)
    return await decide(stores, terms, command.bidder_id, "approved", "", now_ms)
