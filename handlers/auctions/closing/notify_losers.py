"""Timer: notify bidders that they did not get an auction, a chunk at a time, so that many bidders block nobody."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, cast
from uuid import UUID

from handlers.auctions.locking import read_terms_by_id
from handlers.contract import Event, Outcome, Stores, Timer
from protocols.auctions.events import AuctionLost
from protocols.topics import personal_channel
from storage.auctions.auctions_postgres import read_statuses
from storage.auctions.bids_postgres import take_losers

LOSERS_CHUNK = 1_000
"""Bidders notified in one transaction: about 20 ms of work."""


async def notify_losers(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Notify the next chunk of each auction's bidders, and set the timer again while some are left."""
    pairs = await take_losers(stores.db, refs, LOSERS_CHUNK)
    if not pairs:
        return []
    bidders: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for auction_id, bidder_id in pairs:
        bidders[auction_id].append(bidder_id)
    terms = await read_terms_by_id(stores.db, bidders)
    statuses = await read_statuses(stores.db, bidders)
    events = []
    for auction_id, bidder_ids in bidders.items():
        outcome = cast("Literal['sold', 'unsold', 'cancelled']", statuses[auction_id])
        lost = AuctionLost(
            auction_id=auction_id,
            title=terms[auction_id].title,
            currency=terms[auction_id].currency,
            listing_id=terms[auction_id].listing_id,
            outcome=outcome,
        )
        events += [Event(personal_channel(bidder_id), "auction_lost", lost) for bidder_id in bidder_ids]
    timers = []
    if len(pairs) == LOSERS_CHUNK:
        timers = [Timer("notify_losers", auction_id, now_ms) for auction_id in dict.fromkeys(refs)]
    return [Outcome(None, events, timers=timers)]
