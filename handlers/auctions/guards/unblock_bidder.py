"""Let somebody bid in own auctions again."""

from handlers.auctions.guards.block_views import to_block
from handlers.contract import Caller, Event, Outcome, Stores
from protocols.auctions.guards import BidderUnblocked, BlockNotFound, UnblockBidder
from protocols.topics import personal_channel
from storage.auctions.guards_postgres import delete_block, lock_seller


async def unblock_bidder(
    command: UnblockBidder,
    caller: Caller,
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - holds from now on
) -> Outcome:
    """Take an own block away; approvals that were given before hold again. Raises BlockNotFound."""
    await lock_seller(stores.db, caller.id)
    row = await delete_block(stores.db, command.block_id, caller.id)
    if row is None:
        raise BlockNotFound
    event = Event(personal_channel(caller.id), "bidder_unblocked", BidderUnblocked(block_id=command.block_id))
    return Outcome(to_block(row), [event])
