"""Ask a seller to be let bid. Rules: guard_rules.py."""

from handlers.auctions.guard_rules import OPEN, check_standing
from handlers.auctions.guards.approvals import read_approval
from handlers.auctions.locking import read_lot
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
    lot = await read_lot(stores.db, command.auction_id)
    seller_id = lot.terms.seller_id
    if seller_id == caller.id:
        raise OwnAuction
    if not lot.terms.needs_approval:
        raise ApprovalNotNeeded
    if (await read_statuses(stores.db, [lot.auction_id]))[lot.auction_id] not in OPEN:
        raise AuctionNotLive("The auction is over")
    ((_, _, status, blocked),) = await find_standings(stores.db, [(lot.auction_id, seller_id, caller.id)])
    check_standing(needs_approval=False, status=status, blocked=blocked)
    events = []
    if await insert_request(stores.db, lot.auction_id, caller.id, command.message, now_ms):
        asked = ApprovalRequested(lot.auction_id, caller.id, command.message)
        events.append(Event(personal_channel(seller_id), "approval_requested", asked))
    return Outcome(await read_approval(stores, lot, caller.id), events)
