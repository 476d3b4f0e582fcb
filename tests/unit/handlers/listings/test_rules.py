"""The pure rules of listings, without a database."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.listings.rules import (
    change_listing,
    changed_columns,
    check_description,
    check_point,
    check_title,
    own_listing,
    parse_near,
)
from protocols.errors import InvalidInput, NotAllowed, Stale
from protocols.listings import ListingNotActive, ListingNotFound, UpdateListing
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


@given(st.text(max_size=140))
def test_a_title_is_refused_or_shows_on_one_line(text):
    try:
        title = check_title(text)
    except InvalidInput:
        return
    assert title
    assert title == title.strip()
    assert len(title.splitlines()) == 1
    assert check_title(title) == title


@given(st.text(max_size=200))
def test_a_description_is_refused_or_can_be_stored(text):
    try:
        description = check_description(text)
    except InvalidInput:
        return
    assert "\x00" not in description
    assert "\r" not in description
    description.encode()
    assert check_description(description) == description


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_a_written_point_is_read_back(lat, lon):
    assert parse_near(f"{lat:.9f},{lon:.9f}") == (float(f"{lat:.9f}"), float(f"{lon:.9f}"))


@given(st.text(alphabet="0123456789.,+-eEinfan \n", max_size=24))
def test_any_near_is_a_point_of_the_earth_or_refused(text):
    try:
        lat, lon = parse_near(text)
    except InvalidInput:
        return
    assert -90 <= lat <= 90
    assert -180 <= lon <= 180


def test_the_antimeridian_has_one_name():
    assert check_point(GeoPoint(0, -180)) == check_point(GeoPoint(-0.0, 180)) == (0.0, 180.0)


def test_only_its_seller_owns_a_listing():
    assert own_listing(ROW, ROW.seller_id) is ROW
    with pytest.raises(NotAllowed):
        own_listing(ROW, new_id())
    with pytest.raises(ListingNotFound):
        own_listing(None, ROW.seller_id)


def test_a_change_counts_the_version_and_time_never_goes_back():
    changed = change_listing(ROW, UpdateListing(listing_id=ROW.listing_id, price=None, if_match=3), 1_500)
    assert changed == replace(ROW, price_minor=None, currency=None, version=4)
    assert changed_columns(ROW, changed) == {"price_minor", "currency", "version"}


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
