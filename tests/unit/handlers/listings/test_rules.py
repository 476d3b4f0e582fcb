"""The pure rules of listings, without a database."""

from hypothesis import given
from hypothesis import strategies as st

from handlers.listings.rules import check_description, check_point, check_title
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


def test_the_antimeridian_has_one_name():
    assert check_point(GeoPoint(0, -180)) == check_point(GeoPoint(-0.0, 180)) == (0.0, 180.0)
