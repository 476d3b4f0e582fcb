"""Read one auction, with the position to subscribe from."""

from handlers.auctions.rules import UnitAllocation
from handlers.auctions.views import to_auction
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.commands import GetAuction
from protocols.auctions.refusals import AuctionNotFound
from storage.auctions.allocations_postgres import read_allocations
from storage.auctions.auctions_postgres import read_auction


async def get_auction(command: GetAuction, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Return the auction as this caller may see it. Raises AuctionNotFound."""
    row = await read_auction(stores.db, command.auction_id)
    if row is None:
        raise AuctionNotFound
    own = None
    if row.quantity > 1 and caller.user_id is not None:
        allocations = (await read_allocations(stores.db, [command.auction_id])).get(command.auction_id, [])
        own = next((UnitAllocation(*one) for one in allocations if one[0] == caller.user_id), None)
    return Outcome(to_auction(row, caller, stores.epoch, now_ms, own))
