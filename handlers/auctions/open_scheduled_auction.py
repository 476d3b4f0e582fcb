"""Timer: start scheduled auctions. It may come twice or after a cancellation: the locked row decides."""

from collections.abc import Sequence
from uuid import UUID

from handlers.auctions.locking import lock_auctions, save_auctions
from handlers.auctions.rules import start
from handlers.contract import Outcome, Stores, Timer
from protocols.auctions.events import AuctionStarted
from protocols.values import to_timestamp


async def open_scheduled_auction(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Make scheduled auctions live whose start has come."""
    auctions = await lock_auctions(stores.db, refs)
    outcomes = []
    for auction in auctions.values():
        if auction.state.status != "scheduled":
            continue
        if now_ms < auction.terms.sale.starts_at_ms:
            timer = Timer("open_scheduled_auction", auction.terms.auction_id, auction.terms.sale.starts_at_ms)
            outcomes.append(Outcome(None, timers=[timer]))
            continue
        auction.state = start(auction.state)
        started = auction.event(
            "auction_started", AuctionStarted(ends_at=to_timestamp(auction.state.ends_at_ms))
        )
        notify = Timer("notify_started", auction.terms.auction_id, now_ms)
        outcomes.append(Outcome(None, [started], [auction.latest()], [notify]))
    await save_auctions(stores.db, auctions.values())
    return outcomes
