"""What a change does to a listing: pure functions from row to row; the caller locks and writes."""

from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from msgspec import UNSET

from handlers.listings.rules import (
    check_attributes,
    check_description,
    check_point,
    check_price,
    check_title,
)
from protocols.errors import NotAllowed, Stale
from protocols.listings.commands import ListingInAuction, ListingNotActive, UpdateListing
from protocols.listings.refusals import ListingNotFound
from protocols.listings.stock import StockHeld
from storage.listings.listings_postgres import ListingRow

FREE_IN_AUCTION = frozenset({"price_minor", "currency", "version", "terms_version", "updated_at_ms"})
"""Columns that bidders of a live auction do not rely on: an auction has a price of its own."""

_CHANGEABLE = ("title", "description", "category", "condition", "weight_g", "volume_cm3", "quantity")


def own_listing(row: ListingRow | None, user_id: UUID) -> ListingRow:
    """Return the listing when it is this user's; others do not learn of a draft. Raises ListingNotFound, NotAllowed."""
    if row is None or (row.status == "draft" and row.seller_id != user_id):
        raise ListingNotFound
    if row.seller_id != user_id:
        raise NotAllowed("Only its seller may change a listing")
    return row


def change_listing(row: ListingRow, command: UpdateListing, now_ms: int) -> ListingRow:
    """Return the listing as the command wants it, one version on; the very same when nothing would change.

    Raises: Stale, ListingNotActive, StockHeld, InvalidInput.
    """
    if command.if_match is not None and command.if_match != row.version:
        raise Stale(version=row.version)
    if row.status not in {"draft", "active"}:
        raise ListingNotActive(listing_status=row.status)
    changed = replace(row, **_given_columns(command))
    if changed == row:
        return row
    if changed.saleable < 0:
        beside = f", an auction sells {row.auctioned}" if row.auctioned else ""
        raise StockHeld(
            f"Buyers hold {row.reserved}{beside}; leave at least as many",
            reserved=row.reserved,
            auctioned=row.auctioned,
        )
    version = row.version + 1
    stock_alone = replace(changed, quantity=row.quantity) == row
    return replace(
        changed,
        version=version,
        terms_version=row.terms_version if stock_alone else version,
        updated_at_ms=max(now_ms, row.updated_at_ms),
    )


def _given_columns(command: UpdateListing) -> dict[str, Any]:
    given = {name: getattr(command, name) for name in _CHANGEABLE if getattr(command, name) is not UNSET}
    if "title" in given:
        given["title"] = check_title(given["title"])
    if "description" in given:
        given["description"] = check_description(given["description"])
    if command.price is not UNSET:
        given["price_minor"], given["currency"] = check_price(command.price)
    if command.location is not UNSET:
        given["lat"], given["lon"] = check_point(command.location)
    if command.attributes is not UNSET:
        given["attributes"] = check_attributes(command.attributes)
    return given


def check_auction(row: ListingRow, auction: tuple[UUID, str] | None) -> None:
    """Let a change pass that takes nothing back from those who may have bid. Raises ListingInAuction."""
    if auction is None:
        if row.auctioned:
            raise ListingInAuction("Its auction has just ended and is being settled: try again in a second")
    elif auction[1] == "live":
        detail = "Its auction is live: bidders rely on what they read. Only the price can change"
        raise ListingInAuction(detail, auction_id=str(auction[0]))


def changed_columns(before: ListingRow, after: ListingRow) -> set[str]:
    """Return the names of the columns that differ."""
    old, new = asdict(before), asdict(after)
    return {name for name, value in new.items() if old[name] != value}


def is_cheaper(before: ListingRow, after: ListingRow) -> bool:
    """Whether the price fell, or there is one now: then it may fit saved searches that it did not.

    Other changes tell nobody, or a seller could tell everybody by changing words until all searches fit.
    """
    if after.price_minor is None:
        return False
    if before.price_minor is None:
        return True
    return before.currency == after.currency and after.price_minor < before.price_minor
