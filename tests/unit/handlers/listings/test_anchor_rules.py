"""Anchors: whatever a search finds has one of the anchors the search is filed under."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.listings.searches.anchor_rules import (
    ANYTHING,
    CELLS_MAX,
    circle_cells,
    listing_anchors,
    point_cells,
    search_anchors,
    word_cover,
)
from protocols.values import new_id

EARTH_M = 6_371_008.771415


def away(lat: float, lon: float, bearing: float, metres: float) -> tuple[float, float]:
    """The point so many metres from another on the sphere."""
    a, d, b = math.radians(lat), metres / EARTH_M, math.radians(bearing)
    sine = math.sin(a) * math.cos(d) + math.cos(a) * math.sin(d) * math.cos(b)
    there = math.asin(max(-1.0, min(1.0, sine)))
    turn = math.atan2(math.sin(b) * math.sin(d) * math.cos(a), math.cos(d) - math.sin(a) * math.sin(there))
    east = (lon + math.degrees(turn) + 540) % 360 - 180
    return math.degrees(there), 180.0 if east == -180 else east


@given(
    lat=st.floats(-90, 90),
    lon=st.floats(-180, 180),
    radius_m=st.floats(1, 20_000_000),
    bearing=st.floats(0, 360),
    part=st.floats(0, 0.999_999),
)
def test_every_point_of_a_circle_lies_in_one_of_its_cells(lat, lon, radius_m, bearing, part):
    cells = set(circle_cells(lat, lon, radius_m))
    assert 0 < len(cells) <= CELLS_MAX
    assert cells & set(point_cells(*away(lat, lon, bearing, radius_m * part)))


@pytest.mark.parametrize(
    ("center", "point"),
    [
        ((0, 180), (0, -179.99)),
        ((0, -180), (0, 180)),
        ((90, 0), (89.9, 170)),
        ((-90, 10), (-90, -120)),
        ((0, 179.999), (0, 180)),
    ],
)
def test_the_edges_of_the_map_are_no_edges(center, point):
    assert set(circle_cells(*center, 20_000)) & set(point_cells(*point))


def test_a_small_circle_takes_small_cells():
    far = set(point_cells(48.0, 2.0))
    assert not set(circle_cells(52.5, 13.4, 50_000)) & far


@pytest.mark.parametrize(
    ("query", "cover"),
    [
        ("'bike'", {"bike"}),
        ("'red' & 'bicycl'", {"bicycl"}),
        ("'bicycl' & 'red'", {"bicycl"}),
        ("'bike' | 'bikes'", {"bike", "bikes"}),
        ("'old' & ( 'lamp' | 'light' )", {"lamp", "light"}),
        ("( 'lamp' | 'a' ) & 'old'", {"old"}),
        ("'bag' & !'leather'", {"bag"}),
        ("!'leather'", None),
        ("!'leather' | 'bag'", None),
        ("!( 'a' & 'b' ) & 'cd'", {"cd"}),
        ("!!'bag' & 'xy'", {"xy"}),
        ("'vintag' <-> 'thing' | 'x' <3> 'yy'", {"vintag", "yy"}),
        ("'it''s' & 'b\\\\c'", {"it's"}),
        ("'a & | b'", {"a & | b"}),
    ],
)
def test_a_cover_has_a_word_of_every_match(query, cover):
    assert word_cover(query) == (None if cover is None else frozenset(cover))


WORDS = st.sampled_from(["a", "bb", "ccc", "dddd"])
QUERIES = st.recursive(
    WORDS.map(lambda word: (f"'{word}'", lambda text, word=word: word in text)),
    lambda inner: (
        st.tuples(inner, inner).map(
            lambda pair: (
                f"( {pair[0][0]} & {pair[1][0]} )",
                lambda text: pair[0][1](text) and pair[1][1](text),
            )
        )
        | st.tuples(inner, inner).map(
            lambda pair: (
                f"( {pair[0][0]} | {pair[1][0]} )",
                lambda text: pair[0][1](text) or pair[1][1](text),
            )
        )
        | inner.map(lambda one: (f"!{one[0]}", lambda text: not one[1](text)))
    ),
    max_leaves=8,
)


@given(query=QUERIES, text=st.sets(WORDS))
def test_no_text_fits_a_query_without_a_word_of_its_cover(query, text):
    words, fits = query
    cover = word_cover(words)
    if cover is not None and fits(text):
        assert cover & text


def test_a_search_is_filed_under_the_rarest_kind_it_has():
    seller, circle = new_id(), (1.0, 2.0, 10_000.0)
    assert search_anchors("'bag'", seller, circle, "bags") == ["bag"]
    assert search_anchors("!'bag'", seller, circle, "bags") == [f" seller {seller}"]
    assert search_anchors(None, None, circle, "bags") == list(circle_cells(*circle))
    assert search_anchors(None, None, None, "bags") == [" category bags"]
    assert search_anchors(None, None, None, None) == [ANYTHING]
    everything = listing_anchors(seller, (1.0, 2.0), ["bags", "fashion"])
    assert {ANYTHING, f" seller {seller}", " category bags", " category fashion"} < set(everything)
    assert set(everything) & set(circle_cells(*circle))
