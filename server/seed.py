"""Fill an empty market with demo listings, so that the first search finds something."""

from handlers.contract import Event
from handlers.listings.showing import show_listing
from protocols.listings import ListingCreated
from protocols.topics import listing_stream
from protocols.values import to_timestamp
from server.demo_data import demo_listings
from server.pipeline import event_text
from storage.engines.postgres import Connection, open_database
from storage.events_postgres import NewEvent, append_events
from storage.listings.listings_postgres import ListingRow, insert_listing


async def seed(postgres_url: str) -> str:
    """Insert the demo listings that are missing, all or none, and return a sentence that says how many.

    Listings that were changed since stay as they are; running it twice, or twice at once, is safe.
    """
    database = await open_database(postgres_url, size_max=1)
    try:
        async with database.transaction() as db:
            added = [row for row in demo_listings() if await insert_listing(db, row)]
            await _append_history(db, added)
    finally:
        await database.close()
    return f"{len(added)} demo listings added" if added else "the demo listings are there already"


async def _append_history(db: Connection, rows: list[ListingRow]) -> None:
    """Give each listing the audit event that its creation leaves."""
    for row in rows:
        event = Event(
            listing_stream(row.listing_id), "listing_created", ListingCreated(listing=show_listing(row)), 1
        )
        text = event_text(event, to_timestamp(row.created_at_ms))
        await append_events(db, [NewEvent(event.stream, event.type, text, 1)], row.created_at_ms)
