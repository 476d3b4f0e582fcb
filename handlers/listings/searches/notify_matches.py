"""Timer: tell people of a listing that fits searches they saved, a page at a time, so that a crowd blocks nobody."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from handlers.contract import Event, Outcome, Stores, Timer
from handlers.listings.photo_names import file_path
from protocols.listings.saved_searches import ListingMatched, MatchedSearch
from protocols.topics import personal_channel
from protocols.values import Money
from storage.listings.saved_searches_postgres import (
    ListingToMatch,
    delete_untold,
    read_to_match,
    take_unnotified,
)

TOLD_MAX = 1_000
"""Searches told in one transaction."""


async def notify_matches(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Tell the next page of searches, of as many listings as fit into it, and ask again while some are left.

    A listing that left the market meanwhile tells nobody; when it comes back it is matched again.
    """
    events: list[Event] = []
    again: list[UUID] = []
    room = TOLD_MAX
    for listing_id in dict.fromkeys(refs):
        listing = await read_to_match(stores.db, listing_id)
        if listing is None:
            await delete_untold(stores.db, listing_id)
            continue
        rows = await take_unnotified(stores.db, listing_id, room) if room else []
        if len(rows) == room:
            again.append(listing_id)
        room -= len(rows)
        searches: defaultdict[UUID, list[MatchedSearch]] = defaultdict(list)
        for row in rows:
            searches[row["user_id"]].append(MatchedSearch(row["search_id"], row["name"]))
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
