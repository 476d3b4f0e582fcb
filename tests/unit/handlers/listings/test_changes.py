"""What a change does to a listing, without a database."""

from dataclasses import replace

import pytest

from handlers.listings.changes import change_listing, changed_columns, own_listing
from protocols.errors import NotAllowed, Stale
from protocols.listings.commands import ListingNotActive, UpdateListing
from protocols.listings.refusals import ListingNotFound
from protocols.listings.stock import StockHeld
from protocols.values import GeoPoint, new_id
from storage.listings.listings_postgres import ListingRow

ROW = ListingRow(
    listing_id=new_id(),
    seller_id=new_id(),
    status="active",
    version=3,
    title="Bag",
    description="",
    category="bags",
    condition="used",
    price_minor=5,
    currency="EUR",
    lat=1.0,
    lon=2.0,
    weight_g=None,
    volume_cm3=None,
    quantity=1,
    attributes={},
    created_at_ms=1_000,
    updated_at_ms=2_000,
)


def test_only_its_seller_owns_a_listing():
    assert own_listing(ROW, ROW.seller_id) is ROW
    with pytest.raises(NotAllowed):
        own_listing(ROW, new_id())
    with pytest.raises(ListingNotFound):
        own_listing(None, ROW.seller_id)


def test_a_change_counts_the_version_and_time_never_goes_back():
    changed = change_listing(ROW, UpdateListing(listing_id=ROW.listing_id, price=None, if_match=3), 1_500)
    assert changed == replace(ROW, price_minor=None, currency=None, version=4, terms_version=4)
    assert changed_columns(ROW, changed) == {"price_minor", "currency", "version", "terms_version"}


def test_a_change_of_the_stock_alone_keeps_the_terms():
    row = replace(ROW, quantity=5, reserved=2)
    changed = change_listing(row, UpdateListing(listing_id=row.listing_id, quantity=2), 9_000)
    assert (changed.version, changed.terms_version) == (4, 1)
    with pytest.raises(StockHeld):
        change_listing(row, UpdateListing(listing_id=row.listing_id, quantity=1), 9_000)


def test_no_change_is_no_version():
    command = UpdateListing(listing_id=ROW.listing_id, title=" Bag ", location=GeoPoint(1, 2))
    assert change_listing(ROW, command, 9_000) is ROW


@pytest.mark.parametrize("if_match", [0, 2, 4, -1])
def test_another_version_is_stale(if_match):
    with pytest.raises(Stale):
        change_listing(ROW, UpdateListing(listing_id=ROW.listing_id, if_match=if_match), 9_000)


@pytest.mark.parametrize("status", ["withdrawn", "sold"])
def test_what_is_off_the_market_stays_as_it_is(status):
    with pytest.raises(ListingNotActive):
        change_listing(
            replace(ROW, status=status), UpdateListing(listing_id=ROW.listing_id, title="X"), 9_000
        )
