"""Timer: settle an auction that was closed by its end, and notify winners and seller of the result.

This is not part of the closing, because a closing must be on time. Each closing leaves one such timer.
"""

from collections.abc import Sequence
from uuid import UUID

from handlers.auctions.announcements import result_events, settled_fact, timers_after
from handlers.auctions.locking import lock_auctions
from handlers.auctions.sales import add_movements, settle
from handlers.contract import Outcome, Stores


async def notify_result(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Settle the listings, notify both sides of auctions that are over, and set what follows."""
    auctions = await lock_auctions(stores.db, refs)
    moved = await settle(stores.db, list(auctions.values()), now_ms)
    return [
        add_movements(
            Outcome(
                None,
                result_events(auction),
                timers=timers_after(auction, now_ms),
                facts=[settled_fact(auction)],
            ),
            moved.get(auction_id, ()),
        )
        for auction_id, auction in auctions.items()
    ]
