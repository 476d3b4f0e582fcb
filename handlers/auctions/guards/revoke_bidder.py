"""Take an approval back, and the standing bids with it. Rules: guard_rules.py `check_revocation`."""

from msgspec.structs import replace

from handlers.auctions.guard_rules import OPEN, check_revocation
from handlers.auctions.guards.approvals import decide, read_own_approval_terms
from handlers.auctions.guards.retractions import take_back
from handlers.auctions.locking import LockedAuction, lock_auction, save_auctions
from handlers.contract import Caller, Event, Outcome, Stores
from protocols.auctions.guards import RevokeBidder
from storage.auctions.guards_postgres import read_standing_bids
from storage.auctions.sealed_postgres import find_bidders


async def revoke_bidder(command: RevokeBidder, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Stop the bidder's new bids and cancel the standing ones; the price follows the bids that stay.

    Raises: AuctionNotFound, NotAllowed, ApprovalNotNeeded, BidderNotFound, BidderNotRevocable.
    """
    terms = await read_own_approval_terms(stores, command.auction_id, caller.id)
    auction = await lock_auction(stores.db, command.auction_id)
    decided = await decide(stores, terms, command.bidder_id, "revoked", command.reason, now_ms)
    if not decided.events:
        return decided
    events = await _cancel_bids(auction, command, stores, now_ms)
    await save_auctions(stores.db, [auction])
    latest = [auction.latest()] if events else []
    return replace(decided, events=[*decided.events, *events], latest=latest)


async def _cancel_bids(
    auction: LockedAuction, command: RevokeBidder, stores: Stores, now_ms: int
) -> list[Event]:
    """Take the bidder's standing bids out of an open auction. Raises BidderNotRevocable."""
    auction_id, bidder_id = command.auction_id, command.bidder_id
    if auction.terms.rules.bid_mechanism == "sealed":
        closed = await find_bidders(stores.db, [(auction_id, bidder_id)])
        check_revocation(auction.state, len(closed), now_ms, sealed=True)
        return []
    standing = await read_standing_bids(stores.db, auction_id, bidder_id)
    check_revocation(auction.state, len(standing), now_ms, sealed=False)
    if not standing or auction.state.status not in OPEN:
        return []
    gone = [row.number for row in standing]
    return await take_back(stores.db, auction, bidder_id, standing[-1].bid_id, gone, "bidder_revoked")
