"""Timer: queue the bidders who did not get an auction. It is not part of the closing, which must be on time."""

from collections.abc import Sequence
from uuid import UUID

from handlers.contract import Outcome, Stores, Timer
from storage.auctions import bids_postgres

REVIEW_AFTER_MS = 60_000
"""When a closed auction is looked at for signals of abuse: not while others close."""


async def queue_losers(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Queue the bidders of auctions that are over; `notify_losers` notifies those in the queue."""
    auction_ids = list(dict.fromkeys(refs))
    await bids_postgres.queue_losers(stores.db, auction_ids)
    notifications = [Timer("notify_losers", auction_id, now_ms) for auction_id in auction_ids]
    reviews = [Timer("review_auction", auction_id, now_ms + REVIEW_AFTER_MS) for auction_id in auction_ids]
    return [Outcome(None, timers=[*notifications, *reviews])]
