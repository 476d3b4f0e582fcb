"""Cursors: exact round trip, one search each, no other text accepted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from handlers.listings.cursors import read_cursor, write_cursor
from protocols.errors import InvalidInput
from protocols.listings.commands import SearchListings
from storage.listings.search_postgres import After

BAGS = SearchListings(q="bag", near="0,0")


@given(st.floats(0, 2e7), st.uuids(), st.uuids(), st.booleans())
def test_a_cursor_keeps_the_key_to_the_last_bit(key, listing_id, bound, similar):
    after = After(key=key, listing_id=listing_id, similar=similar, bound=bound)
    cursor = write_cursor(after, BAGS)
    assert len(cursor) <= 512
    assert read_cursor(replace(BAGS, cursor=cursor, limit=7), "relevance") == after
    with pytest.raises(InvalidInput):
        read_cursor(replace(BAGS, q="bags", cursor=cursor), "relevance")
    with pytest.raises(InvalidInput):
        read_cursor(replace(BAGS, cursor=cursor), "price_asc")


@given(st.integers(0, 2**53), st.uuids())
def test_prices_stay_whole(key, listing_id):
    after = After(key=key, listing_id=listing_id)
    assert read_cursor(replace(BAGS, cursor=write_cursor(after, BAGS)), "price_asc") == after


@given(st.text(min_size=1, max_size=512))
def test_any_other_text_is_refused(text):
    with pytest.raises(InvalidInput):
        read_cursor(replace(BAGS, cursor=text), "relevance")


def test_no_cursor_is_the_beginning():
    assert read_cursor(BAGS, "relevance") is None
