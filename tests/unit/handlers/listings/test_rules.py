"""The pure rules of listings, without a database."""

from hypothesis import given
from hypothesis import strategies as st

from handlers.listings.rules import check_description, check_point, check_title, parse_near
from protocols.errors import InvalidInput
from protocols.values import GeoPoint


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


@given(st.floats(-90, 90), st.floats(-179.9, 180))
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
    assert parse_near("0,-180") == parse_near("0,180.0") == (0.0, 180.0)
