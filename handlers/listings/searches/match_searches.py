"""Reactions to a listing that was published or became cheaper: find the saved searches that it fits.

`notify_matches` tells their owners. Rules: anchor_rules.py.
"""

from collections.abc import Sequence
from uuid import UUID

from handlers.contract import Outcome, Stores, Timer
from handlers.domain import FactRecord
from handlers.listings.searches.anchor_rules import listing_anchors
from storage.listings.saved_searches_postgres import match_listing, read_to_match

LISTINGS_MAX = 20
"""Listings whose next page is matched in one transaction, so that a flood blocks no other timer."""

MATCHES_MAX = 5_000
"""Searches found in one statement, far below its time limit; a follow-up timer finds the next."""


async def on_listing_published(record: FactRecord, stores: Stores, now_ms: int) -> Outcome:
    """Note whom to tell of the listing."""
    return Outcome(None, timers=await _match(record.fact.listing_id, stores, now_ms))


async def on_price_lowered(record: FactRecord, stores: Stores, now_ms: int) -> Outcome:
    """Note whom to tell of the listing."""
    return Outcome(None, timers=await _match(record.fact.listing_id, stores, now_ms))


async def match_searches(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Timer: note the next whom to tell of listings that fit many searches.

    What was noted is in earlier transactions' rows, so a match that is repeated finds nobody new.
    """
    listing_ids = list(dict.fromkeys(refs))
    timers = [Timer("match_searches", listing_id, now_ms) for listing_id in listing_ids[LISTINGS_MAX:]]
    for listing_id in listing_ids[:LISTINGS_MAX]:
        timers += await _match(listing_id, stores, now_ms)
    return [Outcome(None, timers=timers)]


async def _match(listing_id: UUID, stores: Stores, now_ms: int) -> list[Timer]:
    """Note a page of searches that a listing fits; return the timers for what is left to do."""
    found = await _note(listing_id, stores, now_ms)
    kinds = ["notify_matches"] if found else []
    if found == MATCHES_MAX:
        kinds.append("match_searches")
    return [Timer(kind, listing_id, now_ms) for kind in kinds]


async def _note(listing_id: UUID, stores: Stores, now_ms: int) -> int:
    listing = await read_to_match(stores.db, listing_id)
    if listing is None:
        return 0
    place = None if listing.lat is None or listing.lon is None else (listing.lat, listing.lon)
    anchors = listing_anchors(listing.seller_id, place, listing.categories)
    return await match_listing(stores.db, listing, anchors, MATCHES_MAX, now_ms)
