"""Timer: note who has to be told that they did not get an auction; apart from the closing, which must be on time."""

from collections.abc import Sequence
from uuid import UUID

from handlers.contract import Outcome, Stores, Timer
from storage.auctions import bids_postgres


async def queue_losers(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Queue the bidders of auctions that are over; `tell_losers` works the queue off."""
    auction_ids = list(dict.fromkeys(refs))
    await bids_postgres.queue_losers(stores.db, auction_ids)
    return [Outcome(None, timers=[Timer("tell_losers", auction_id, now_ms) for auction_id in auction_ids])]
