"""Change a listing: its seller, while it is a draft or active; one audit event when anything changed."""

import msgspec

from handlers.contract import Caller, Event, Outcome, Stores
from handlers.listings.changes import (
    FREE_IN_AUCTION,
    change_listing,
    changed_columns,
    check_auction,
    is_cheaper,
    own_listing,
)
from handlers.listings.goods.verdicts import refuse_prohibited
from handlers.listings.stated import lowered_fact
from handlers.listings.views import stock_value, to_listing
from protocols.listings.channels import listing_stream
from protocols.listings.commands import ListingUpdated, UpdateListing
from protocols.listings.refusals import CategoryNotFound
from storage.auctions.lookups import read_open_auction
from storage.listings.listings_postgres import lock_listing, read_branch, update_listing_row
from storage.listings.stock_postgres import insert_movements, movement_of

_FIELD_OF_COLUMN = {"price_minor": "price", "currency": "price", "lat": "location", "lon": "location"}
_DESCRIBING = {"title", "description", "category"}
_BESIDE = {"version", "terms_version", "updated_at_ms"}


async def update_listing(command: UpdateListing, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Write the given fields and count the version on; a change that changes nothing leaves it as it is.

    Raises: ListingNotFound, NotAllowed, Stale, ListingNotActive, StockHeld, ListingInAuction, InvalidInput,
    CategoryNotFound, GoodsProhibited.
    """
    before = own_listing(await lock_listing(stores.db, command.listing_id), caller.id)
    row = change_listing(before, command, now_ms)
    view = to_listing(row)
    if row is before:
        return Outcome(reply=view)
    changed = changed_columns(before, row)
    if changed - FREE_IN_AUCTION:
        check_auction(before, await read_open_auction(stores.db, row.listing_id))
    if row.category != before.category and not await read_branch(stores.db, row.category):
        raise CategoryNotFound
    if row.status == "active" and changed & _DESCRIBING:
        await refuse_prohibited(stores.db, row)
    await update_listing_row(stores.db, row)
    if moved := row.quantity - before.quantity:
        await insert_movements(stores.db, [movement_of(row, "adjust", moved, now_ms)])
    fields = {_FIELD_OF_COLUMN.get(name, name) for name in changed - _BESIDE}
    changes = {name: msgspec.to_builtins(getattr(view, name)) for name in sorted(fields)}
    updated = ListingUpdated(by=caller.id, version=row.version, changes=changes)
    event = Event(listing_stream(row.listing_id), "listing_updated", updated, row.version)
    if row.status == "draft":
        return Outcome(reply=view, events=[event])
    facts = [lowered_fact(row)] if is_cheaper(before, row) else []
    return Outcome(reply=view, events=[event], latest=[stock_value(row)], facts=facts)
