"""Timer: tell the winner and the seller how an auction ended; apart from the closing, which must be on time."""

from collections.abc import Sequence
from uuid import UUID

from handlers.auctions.closing import notices_of_result, timers_for_losers
from handlers.auctions.lots import hold
from handlers.contract import Outcome, Stores


async def tell_result(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Tell both sides of auctions that are over, and have the other bidders told."""
    held = await hold(stores.db, refs)
    return [
        Outcome(None, notices_of_result(one), timers=timers_for_losers(one, now_ms)) for one in held.values()
    ]
