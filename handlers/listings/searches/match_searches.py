"""Timer: find the saved searches that a published or cheaper listing fits; `notify_matches` tells their owners.

Rules: anchor_rules.py.
"""

from collections.abc import Sequence
from uuid import UUID

from handlers.contract import Outcome, Stores, Timer
from handlers.listings.searches.anchor_rules import listing_anchors
from storage.listings.saved_searches_postgres import match_listing, read_to_match

LISTINGS_MAX = 20
"""Listings matched in one transaction; the others wait for the next, so that a flood blocks no other timer."""

MATCHES_MAX = 5_000
"""Searches found in one statement, far below its time limit; a follow-up timer finds the next."""


async def match_searches(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Note whom to tell of each listing, and ask again while there may be more.

    What was noted is in this transaction's rows, so a match that is repeated finds nobody new.
    """
    listing_ids = list(dict.fromkeys(refs))
    timers = [Timer("match_searches", listing_id, now_ms) for listing_id in listing_ids[LISTINGS_MAX:]]
    for listing_id in listing_ids[:LISTINGS_MAX]:
        found = await _match(listing_id, stores, now_ms)
        if found:
            timers.append(Timer("notify_matches", listing_id, now_ms))
        if found == MATCHES_MAX:
            timers.append(Timer("match_searches", listing_id, now_ms))
    return [Outcome(None, timers=timers)]


async def _match(listing_id: UUID, stores: Stores, now_ms: int) -> int:
    listing = await read_to_match(stores.db, listing_id)
    if listing is None:
        return 0
    place = None if listing.lat is None or listing.lon is None else (listing.lat, listing.lon)
    anchors = listing_anchors(listing.seller_id, place, listing.categories)
    return await match_listing(stores.db, listing, anchors, MATCHES_MAX, now_ms)
