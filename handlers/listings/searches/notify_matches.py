"""Timer: notify users of a listing that fits searches they saved, a page at a time, so that many block nobody."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from handlers.contract import Event, Outcome, Stores, Timer
from protocols.goods import file_path
from protocols.listings.saved_searches import ListingMatched, MatchedSearch
from protocols.topics import personal_channel
from protocols.values import Money
from storage.listings.saved_searches_postgres import (
    ListingToMatch,
    delete_unnotified,
    read_to_match,
    take_unnotified,
)

NOTIFIED_MAX = 1_000
"""Searches notified in one transaction."""


async def notify_matches(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Notify the owners of the next page of searches, of as many listings as fit into it; set the timer for the rest.

    Nobody is notified of a listing that left the market meanwhile; when it comes back it is matched again.
    """
    events: list[Event] = []
    again: list[UUID] = []
    room = NOTIFIED_MAX
    for listing_id in dict.fromkeys(refs):
        listing = await read_to_match(stores.db, listing_id)
        if listing is None:
            await delete_unnotified(stores.db, listing_id)
            continue
        rows = await take_unnotified(stores.db, listing_id, room) if room else []
        if len(rows) == room:
            again.append(listing_id)
        room -= len(rows)
        searches: defaultdict[UUID, list[MatchedSearch]] = defaultdict(list)
        for row in rows:
            searches[row.user_id].append(MatchedSearch(id=row.search_id, name=row.name))
        events += [_event(listing, user_id, found) for user_id, found in searches.items()]
    timers = [Timer("notify_matches", listing_id, now_ms) for listing_id in again]
    return [Outcome(None, events, timers=timers)]


def _event(listing: ListingToMatch, user_id: UUID, searches: list[MatchedSearch]) -> Event:
    price_minor, currency = listing.price_minor, listing.currency
    matched = ListingMatched(
        listing_id=listing.listing_id,
        title=listing.title,
        price=None if price_minor is None or currency is None else Money(price_minor, currency),
        photo=file_path(UUID(listing.photo_id), "small") if listing.photo_id else None,
        searches=searches,
    )
    return Event(personal_channel(user_id), "listing_matched", matched)
