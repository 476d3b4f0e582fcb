"""Offer something, or begin a draft of it: one new listing, one audit event."""

from handlers.contract import Caller, Event, Outcome, Stores
from handlers.listings.goods.verdicts import refuse_prohibited
from handlers.listings.rules import (
    check_attributes,
    check_description,
    check_point,
    check_price,
    check_title,
)
from handlers.listings.stated import published_fact
from handlers.listings.views import to_listing
from protocols.listings.channels import listing_stream
from protocols.listings.commands import CreateListing, ListingCreated
from protocols.listings.refusals import CategoryNotFound
from protocols.values import new_id
from storage.listings.listings_postgres import ListingRow, insert_listing, read_branch


async def create_listing(command: CreateListing, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """List it at once, or keep it a draft, at version 1.

    Raises: InvalidInput, CategoryNotFound, GoodsProhibited.
    """
    price_minor, currency = check_price(command.price)
    lat, lon = check_point(command.location)
    row = ListingRow(
        listing_id=new_id(),
        seller_id=caller.id,
        status="draft" if command.draft else "active",
        version=1,
        title=check_title(command.title),
        description=check_description(command.description),
        category=command.category,
        condition=command.condition,
        price_minor=price_minor,
        currency=currency,
        lat=lat,
        lon=lon,
        weight_g=command.weight_g,
        volume_cm3=command.volume_cm3,
        quantity=command.quantity,
        attributes=check_attributes(command.attributes),
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
    if not await read_branch(stores.db, row.category):
        raise CategoryNotFound
    if not command.draft:
        await refuse_prohibited(stores.db, row)
    await insert_listing(stores.db, row)
    view = to_listing(row)
    event = Event(
        listing_stream(row.listing_id), "listing_created", ListingCreated(listing=view), row.version
    )
    facts = [] if command.draft else [published_fact(row)]
    return Outcome(reply=view, events=[event], facts=facts)
