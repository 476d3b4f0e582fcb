"""Ask a seller to be let bid. Rules: guard_rules.py."""

from handlers.auctions.guard_rules import OPEN, check_standing
from handlers.auctions.guards.approvals import read_approval
from handlers.auctions.locking import read_auction_terms
from handlers.contract import Caller, Event, Outcome, Stores
from protocols.auctions.guards import ApprovalNotNeeded, ApprovalRequested, RequestApproval
from protocols.auctions.refusals import AuctionNotLive, OwnAuction
from protocols.topics import personal_channel
from storage.auctions.auctions_postgres import read_statuses
from storage.auctions.guards_postgres import find_standings, insert_request


async def request_approval(command: RequestApproval, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Note the wish and tell the seller, once; whoever asked before gets what the seller said.

    Raises: AuctionNotFound, OwnAuction, ApprovalNotNeeded, AuctionNotLive, BidderIsBlocked.
    """
    terms = await read_auction_terms(stores.db, command.auction_id)
    seller_id = terms.sale.seller_id
    if seller_id == caller.id:
        raise OwnAuction
    if not terms.sale.needs_approval:
        raise ApprovalNotNeeded
    if (await read_statuses(stores.db, [terms.auction_id]))[terms.auction_id] not in OPEN:
        raise AuctionNotLive("The auction is over")
    (standing,) = await find_standings(stores.db, [(terms.auction_id, seller_id, caller.id)])
    check_standing(needs_approval=False, status=standing.status, blocked=standing.blocked)
    events = []
    if await insert_request(stores.db, terms.auction_id, caller.id, command.message, now_ms):
        asked = ApprovalRequested(
            auction_id=terms.auction_id,
            title=terms.title,
            currency=terms.currency,
            bidder_id=caller.id,
            message=command.message,
        )
        events.append(Event(personal_channel(seller_id), "approval_requested", asked))
    return Outcome(await read_approval(stores, terms, caller.id), events)
