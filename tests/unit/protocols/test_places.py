"""Places as a list is asked for them."""

from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import InvalidInput
from protocols.places import parse_near


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
