"""Put an auction on the caller's watch list, or change when to be reminded of its end."""

from collections.abc import Sequence
from uuid import UUID

from handlers.auctions.watching.watch_list import DEFAULT_LEADS_S, WATCHES_MAX
from handlers.contract import Caller, Outcome, Stores
from protocols.auctions.refusals import AuctionNotFound, AuctionNotLive, OwnAuction
from protocols.auctions.watching import Watch, WatchAuction, WatchListFull
from storage.auctions.auctions_postgres import read_auction
from storage.auctions.watches_postgres import (
    count_watcher,
    count_watches,
    delete_oldest_ended_watch,
    lock_watches,
    read_watch,
    read_watcher_count,
    write_watch,
)


async def watch_auction(command: WatchAuction, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Begin to watch an open auction; a watch of one that is over makes room when the list is full.

    Raises: AuctionNotFound, AuctionNotLive, OwnAuction, WatchListFull.
    """
    auction_id = command.auction_id
    auction = await read_auction(stores.db, auction_id)
    if auction is None:
        raise AuctionNotFound
    if auction.seller_id == caller.id:
        raise OwnAuction("This is your own auction: you are told of it anyway")
    await lock_watches(stores.db, caller.id)
    before = await read_watch(stores.db, auction_id, caller.id)
    if auction.status not in {"scheduled", "live"} and not (before and before.watching):
        raise AuctionNotLive("The auction is over")
    chosen: Sequence[int] | None = command.remind_before_s
    if chosen is None:
        chosen = before.remind_before_s if before else DEFAULT_LEADS_S
    leads_s = sorted(set(chosen), reverse=True)
    is_new = before is None or not before.watching
    if before is None:
        await _make_room(stores, caller.id)
    await write_watch(stores.db, auction_id, caller.id, leads_s, now_ms)
    if is_new:
        count = await count_watcher(stores.db, auction_id, came=True)
    else:
        count = await read_watcher_count(stores.db, auction_id)
    return Outcome(Watch(auction_id=auction_id, watching=True, remind_before_s=leads_s, watcher_count=count))


async def _make_room(stores: Stores, user_id: UUID) -> None:
    """Let the oldest watch go whose auction is over, when the list is full. Raises WatchListFull."""
    if await count_watches(stores.db, user_id) < WATCHES_MAX:
        return
    gone = await delete_oldest_ended_watch(stores.db, user_id)
    if gone is None:
        raise WatchListFull(f"You watch {WATCHES_MAX} open auctions; unwatch some first")
    await count_watcher(stores.db, gone, came=False)
