"""Timers of auctions: start the scheduled, close the ended, tell those who did not get them.

A timer may come twice or too early (an auction was extended, or is over already): the locked row decides.
"""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from handlers.auctions.closing import announce_close
from handlers.auctions.lots import hold, read_lots, save
from handlers.auctions.rules import close, start
from handlers.contract import Event, Outcome, Stores, Timer
from protocols.auctions import AuctionLost, AuctionStarted
from protocols.topics import personal_channel
from protocols.values import to_timestamp
from storage.auctions.auctions_postgres import read_statuses
from storage.auctions.bids_postgres import queue_losers, take_losers

LOSERS_CHUNK = 1_000
"""Bidders told in one transaction: about 20 ms of work."""


async def open_scheduled_auction(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Make scheduled auctions live whose start has come."""
    held = await hold(stores.db, refs)
    outcomes = []
    for one in held.values():
        if one.state.status != "scheduled":
            continue
        if now_ms < one.lot.terms.starts_at_ms:
            timer = Timer("open_scheduled_auction", one.lot.auction_id, one.lot.terms.starts_at_ms)
            outcomes.append(Outcome(None, timers=[timer]))
            continue
        one.state = start(one.state)
        started = one.event("auction_started", AuctionStarted(to_timestamp(one.state.ends_at_ms)))
        outcomes.append(Outcome(None, [started], [one.latest()]))
    await save(stores.db, held.values())
    return outcomes


async def close_auction(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Close live auctions whose end has passed, never early; an extended one is asked for again at its new end."""
    held = await hold(stores.db, refs)
    outcomes = []
    for one in held.values():
        if one.state.status not in {"scheduled", "live"}:
            continue
        if now_ms < one.state.ends_at_ms:
            timer = Timer("close_auction", one.lot.auction_id, one.state.ends_at_ms)
            outcomes.append(Outcome(None, timers=[timer]))
            continue
        one.state = close(one.lot.terms, one.state)
        outcomes.append(announce_close(one, now_ms))
    changed = [one for one in held.values() if one.state is not one.loaded]
    await queue_losers(
        stores.db,
        [
            (one.lot.auction_id, one.state.leader_id if one.state.status == "sold" else None)
            for one in changed
            if one.state.bid_count
        ],
    )
    await save(stores.db, changed)
    return outcomes


async def tell_losers(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Tell bidders that they did not get an auction, a chunk at a time, and ask again while some are left."""
    pairs = await take_losers(stores.db, refs, LOSERS_CHUNK)
    if not pairs:
        return []
    bidders: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for auction_id, bidder_id in pairs:
        bidders[auction_id].append(bidder_id)
    lots = await read_lots(stores.db, bidders)
    statuses = await read_statuses(stores.db, bidders)
    events = []
    for auction_id, bidder_ids in bidders.items():
        lost = AuctionLost(auction_id, lots[auction_id].listing_id, statuses[auction_id])
        events += [Event(personal_channel(bidder_id), "auction_lost", lost) for bidder_id in bidder_ids]
    timers = []
    if len(pairs) == LOSERS_CHUNK:
        timers = [Timer("tell_losers", auction_id, now_ms) for auction_id in dict.fromkeys(refs)]
    return [Outcome(None, events, timers=timers)]
