"""Timer: settle an auction that its end has closed, and tell winner and seller how it ended.

Apart from the closing, which must be on time: a closing leaves one such timer, which goes with the transaction here.
"""

from collections.abc import Sequence
from uuid import UUID

from handlers.auctions.announcements import notices_of_result, settled_fact, timers_for_losers
from handlers.auctions.locking import hold
from handlers.auctions.sales import settle, tell_moved
from handlers.contract import Outcome, Stores


async def tell_result(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Move their goods, tell both sides of auctions that are over, and have the other bidders told."""
    held = await hold(stores.db, refs)
    moved = await settle(stores.db, list(held.values()), now_ms)
    return [
        tell_moved(
            Outcome(
                None,
                notices_of_result(one),
                timers=timers_for_losers(one, now_ms),
                facts=[settled_fact(one)],
            ),
            moved.get(auction_id, ()),
        )
        for auction_id, one in held.items()
    ]
