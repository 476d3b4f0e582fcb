"""Take a listing off the market."""

from dataclasses import replace

from handlers.contract import Caller, Event, Outcome, Stores
from handlers.listings.changes import check_auction, own_listing
from handlers.listings.views import stock_value, to_listing
from protocols.listings.channels import listing_stream
from protocols.listings.commands import ListingInAuction, ListingNotActive, ListingWithdrawn, WithdrawListing
from storage.auctions.lookups import read_open_auction
from storage.listings.listings_postgres import lock_listing, update_listing_row


async def withdraw_listing(command: WithdrawListing, caller: Caller, stores: Stores, now_ms: int) -> Outcome:
    """Withdraw it until it is published again; what buyers hold stays theirs. A withdrawn listing stays as it is.

    Raises: ListingNotFound, NotAllowed, ListingNotActive, ListingInAuction.
    """
    before = own_listing(await lock_listing(stores.db, command.listing_id), caller.id)
    if before.status == "withdrawn":
        return Outcome(reply=to_listing(before))
    if before.status != "active":
        raise ListingNotActive(listing_status=before.status)
    auction = await read_open_auction(stores.db, before.listing_id)
    if auction is not None:
        detail = f"Its auction is {auction[1]}; cancel the auction first"
        raise ListingInAuction(detail, auction_id=str(auction[0]))
    check_auction(before, auction)
    updated_at_ms = max(now_ms, before.updated_at_ms)
    row = replace(before, status="withdrawn", version=before.version + 1, updated_at_ms=updated_at_ms)
    await update_listing_row(stores.db, row)
    withdrawn = ListingWithdrawn(by=caller.id, version=row.version)
    event = Event(listing_stream(row.listing_id), "listing_withdrawn", withdrawn, row.version)
    return Outcome(reply=to_listing(row), events=[event], latest=[stock_value(row)])
