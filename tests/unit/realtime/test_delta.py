"""Fossil deltas: applied they give the target, they are text where the payload is text, and the SDKs read them."""

import json

import pytest
from centrifuge.fossil import apply_delta as official_apply
from hypothesis import example, given
from hypothesis import strategies as st

from realtime.channels.delta import DeltaError, apply_delta, make_delta
from realtime.channels.publication import DELTA_SOURCE_BYTES_MAX, Publication, find_deltas
from realtime.codecs import JSON, PROTOBUF
from realtime.ports import Entry

texts = st.text(st.sampled_from("ab{}:,0 é€😀"), max_size=300)


@st.composite
def related(draw):
    """A text and one made of its pieces."""
    source = draw(texts) * draw(st.integers(1, 4))
    cuts = sorted(draw(st.lists(st.integers(0, len(source)), min_size=4, max_size=4)))
    middle = source[cuts[0] : cuts[1]] + draw(texts) + source[cuts[2] : cuts[3]]
    return source.encode(), (draw(texts) + middle + draw(texts)).encode()


@given(related())
@example((b"", b""))
@example((b"x" * 100, b""))
@example((b"", b"x" * 100))
def test_delta_of_texts_is_text_and_gives_the_target_here_and_in_the_official_client(pair):
    source, target = pair
    delta = make_delta(source, target)
    delta.decode()
    assert apply_delta(source, delta) == target
    assert bytes(official_apply(source, delta)) == target


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_delta_of_any_bytes_gives_the_target(source, target):
    assert apply_delta(source, make_delta(source, target)) == target


def test_code_points_that_share_bytes_are_never_cut():
    for one, other in (("€", "₭"), ("é", "è"), ("😀", "😁")):
        source = f"{one} {'x' * 40} {one} {'y' * 40} {one}".encode()
        target = f"{other} {'x' * 40} {other} {'y' * 40} {other}".encode()
        delta = make_delta(source, target)
        delta.decode()
        assert apply_delta(source, delta) == target


def test_publication_whose_two_ends_changed_still_comes_out_small():
    middle = json.dumps({f"field{n}": n * 7919 for n in range(40)})
    source, target = f"A{middle}A".encode(), f"BB{middle}CCC".encode()
    assert len(make_delta(source, target)) < 40


def test_pieces_that_changed_places_are_found():
    one, two = "".join(map(str, range(100))), "".join(map(str, range(500, 600)))
    assert len(make_delta((one + two).encode(), (two + one).encode())) < 60


@pytest.mark.parametrize(
    "delta",
    [b"", b"x", b"3\n", b"3\n3@0,0;", b"1\n2@9,0;", b"3\n3:abc1;", b"3\n~~~~~~~~~~~~~:", b"2\n3:abc5;"],
)
def test_what_is_no_delta_is_refused(delta):
    with pytest.raises(DeltaError):
        apply_delta(b"source", delta)


def test_delta_of_another_source_is_refused():
    delta = make_delta(b"a" * 50 + b"b" * 50, b"a" * 50 + b"b" * 50 + b"c")
    with pytest.raises(DeltaError):
        apply_delta(b"x" * 100, delta)


def publications(*payloads):
    return [Publication(Entry(n, data, 5)) for n, data in enumerate(payloads, 1)]


def test_whole_is_sent_where_a_delta_is_no_shorter():
    assert find_deltas(b'{"a":1}', publications(b"7", b'{"b":2}')) == [None, None]


def test_whole_is_sent_first_and_of_large_payloads():
    large = b'"' + b"x" * DELTA_SOURCE_BYTES_MAX + b'"'
    same = b'"' + b"y" * 100 + b'"'
    deltas = find_deltas(None, publications(same, same, large, large))
    assert deltas[0] is None
    assert deltas[1] is not None
    assert deltas[2:] == [None, None]


def test_json_clients_get_a_string_and_protobuf_clients_bytes():
    (publication,) = publications('{"a":"€"}'.encode())
    whole = json.loads(publication.encoded_for_delta(JSON, None))
    assert (whole["data"], "delta" in whole) == ('{"a":"€"}', False)
    delta = json.loads(publication.encoded_for_delta(JSON, b"1\n1:x0;"))
    assert (delta["data"], delta["delta"]) == ("1\n1:x0;", True)
    assert b"1\n1:x0;" in publication.encoded_for_delta(PROTOBUF, b"1\n1:x0;")
