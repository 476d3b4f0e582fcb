"""Keep somebody out of all own auctions. A bidder who is known by mask alone stays masked."""

from uuid import UUID

from handlers.auctions.guards.block_views import to_block
from handlers.auctions.increments import refuse
from handlers.auctions.locking import lock_auctions, read_auction_terms
from handlers.contract import Caller, Event, Outcome, Stores
from protocols.auctions.guards import BidderBlocked, BidderNotFound, BlockBidder, TooManyBlocks
from protocols.errors import NotAllowed
from protocols.topics import personal_channel
from protocols.values import new_id
from storage.auctions import guards_postgres
from storage.auth.lookups import user_exists

BLOCKS_MAX = 1_000
"""Bidders one seller keeps out."""


async def block_bidder(command: BlockBidder, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Block the bidder in auctions that are open now and in later ones; blocked twice is blocked once.

    Raises: InvalidInput, AuctionNotFound, NotAllowed, BidderNotFound, TooManyBlocks.
    """
    bidder_id = await _find_bidder(command, caller, stores)
    if bidder_id == caller.id:
        raise refuse("bidder_id", "This is yourself")
    seen = (command.auction_id, command.bidder) if command.bidder_id is None else (None, None)
    await guards_postgres.lock_seller(stores.db, caller.id)
    known = await guards_postgres.read_block(stores.db, caller.id, bidder_id, seen[0])
    if known is not None:
        return Outcome(to_block(known))
    if await guards_postgres.count_blocks(stores.db, caller.id) >= BLOCKS_MAX:
        raise TooManyBlocks
    block_id = new_id()
    await guards_postgres.insert_block(
        stores.db, (block_id, caller.id, bidder_id, *seen, command.reason, now_ms)
    )
    unmarked = await guards_postgres.find_open_unmarked(stores.db, caller.id)
    marked = [
        i for i, auction in (await lock_auctions(stores.db, unmarked)).items() if not auction.has_blocks
    ]
    await guards_postgres.mark_blocks(stores.db, marked)
    row = await guards_postgres.read_block(stores.db, caller.id, bidder_id, seen[0])
    assert row is not None, "this transaction wrote it"
    event = Event(personal_channel(caller.id), "bidder_blocked", BidderBlocked(block_id=block_id))
    return Outcome(to_block(row), [event])


async def _find_bidder(command: BlockBidder, caller: Caller, stores: Stores) -> UUID:
    """Return who is meant. Raises InvalidInput, AuctionNotFound, NotAllowed, BidderNotFound."""
    if command.bidder_id is not None:
        if not await user_exists(stores.db, command.bidder_id):
            raise BidderNotFound("There is no user with this id")
        return command.bidder_id
    if command.auction_id is None or command.bidder is None:
        raise refuse("bidder_id", "Name a user, or an auction of yours and the bidder's mask in it")
    terms = await read_auction_terms(stores.db, command.auction_id)
    if terms.sale.seller_id != caller.id:
        raise NotAllowed("Only its seller can block a bidder of an auction")
    for bidder_id in await guards_postgres.find_auction_bidders(stores.db, terms.auction_id):
        if terms.mask(bidder_id) == command.bidder:
            return bidder_id
    raise BidderNotFound("Nobody with this mask has bid in this auction")
