"""Take an auction off the caller's watch list."""

from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.refusals import AuctionNotFound
from protocols.auctions.watching import UnwatchAuction, Watch
from storage.auctions.auctions_postgres import read_statuses
from storage.auctions.watches_postgres import (
    count_watcher,
    lock_watches,
    read_watch,
    read_watcher_count,
    stop_watch,
)


async def unwatch_auction(
    command: UnwatchAuction,
    caller: Caller,
    stores: Stores,
    now_ms: int,  # noqa: ARG001 - one may stop watching at any time
) -> Outcome:
    """Stop watching and being reminded, a bidder too; the next bid does not begin it again. Raises AuctionNotFound."""
    auction_id = command.auction_id
    if not await read_statuses(stores.db, [auction_id]):
        raise AuctionNotFound
    await lock_watches(stores.db, caller.id)
    before = await read_watch(stores.db, auction_id, caller.id)
    if before is not None and before.watching:
        await stop_watch(stores.db, auction_id, caller.id, has_bid=before.has_bid)
        count = await count_watcher(stores.db, auction_id, came=False)
    else:
        count = await read_watcher_count(stores.db, auction_id)
    return Outcome(Watch(auction_id=auction_id, watching=False, remind_before_s=[], watcher_count=count))
