"""Put a draft on the market, or a withdrawn listing back on it."""

from dataclasses import replace

from handlers.contract import Caller, Event, Outcome, Stores
from handlers.listings.changes import own_listing
from handlers.listings.goods.verdicts import refuse_prohibited
from handlers.listings.stated import published_fact
from handlers.listings.views import stock_value, to_listing
from protocols.listings.channels import listing_stream
from protocols.listings.commands import ListingNotActive, ListingPublished, PublishListing
from storage.listings.listings_postgres import lock_listing, update_listing_row


async def publish_listing(command: PublishListing, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Make it active; a listing that is on the market already stays as it is.

    Raises: ListingNotFound, NotAllowed, ListingNotActive, GoodsProhibited.
    """
    before = own_listing(await lock_listing(stores.db, command.listing_id), caller.id)
    if before.status == "active":
        return Outcome(reply=to_listing(before))
    if before.status == "sold":
        raise ListingNotActive("It was sold; make a new listing", listing_status=before.status)
    await refuse_prohibited(stores.db, before)
    version, updated_at_ms = before.version + 1, max(now_ms, before.updated_at_ms)
    row = replace(
        before, status="active", version=version, terms_version=version, updated_at_ms=updated_at_ms
    )
    await update_listing_row(stores.db, row)
    published = ListingPublished(by=caller.id, version=version)
    event = Event(listing_stream(row.listing_id), "listing_published", published, version)
    facts = [published_fact(row)]
    return Outcome(reply=to_listing(row), events=[event], latest=[stock_value(row)], facts=facts)
