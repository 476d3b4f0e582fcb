"""Decoding: pointers, depth, text; what is refused and what is not."""

from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct, json

from protocols.errors import InvalidInput, PayloadTooLarge
from protocols.repetition import repeats
from server.commands.decoding import (
    DEPTH_MAX,
    StructDecoder,
    check_text,
    convert_text,
    decode_object,
    pointer_of,
)
from server.commands.repeated_members import PLACED_BYTES_MAX


class Point(Struct, forbid_unknown_fields=True):
    lat: Annotated[float, Meta(ge=-90, le=90)]


class Walk(Struct, forbid_unknown_fields=True):
    points: list[Point]
    names: dict[str, int] = {}
    pair: tuple[int, str] = (1, "a")
    walk_id: UUID | None = None
    moods: list[Literal["glad", "tired"]] = []
    stars: Literal[1, 5] | None = None
    extra: Any = None


class House(Struct, forbid_unknown_fields=True):
    stones: int = 0


class Houses(Struct, forbid_unknown_fields=True):
    houses: list[House]


class Bid(Struct, forbid_unknown_fields=True):
    auction: str
    amount: int
    key: str = ""
    units: int = 1
    tags: dict[str, Any] = {}
    parts: list[House] = []


BID = b'{"auction":"a","amount":1,"key":"k"}'


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        (b'{"auction":"a","amount":1,"amount":2}', "/amount"),
        (b'{"auction":"a","amount":1,"amount":1,"key":"k"}', "/amount"),
        (b'{"auction":"a","amount":1,"key":"k","key":""}', "/key"),
        (b'{"auction":"a","amount":1,"key":"","key":"k"}', "/key"),
        (b'{"auction":"a","amount" : 1,"am\\u006funt"\n:\t2}', "/amount"),
        (b'{"auction":"a","amount":1,"tags":{"x/y":1,"x/y":2}}', "/tags/x~1y"),
        (b'{"auction":"a","amount":1,"tags":{"deep":[1,{"~":{},"~":1e300}]}}', "/tags/deep/1/~0"),
        (b'{"auction":"a","amount":1,"parts":[{},{"stones":1,"stones":1}]}', "/parts/1/stones"),
    ],
)
def test_a_member_that_comes_twice_is_refused_at_its_place(data, pointer):
    for decode in (StructDecoder(Bid).decode, decode_object):
        with pytest.raises(InvalidInput) as refused:
            decode(data)
        assert refused.value.facts["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    "data",
    [
        BID,
        b'{"auction":"\\":::","amount":1,"key":"12:30:00"}',
        b'{"auction":"a","amount":1,"tags":{"amount":1,"tags":{"tags":":"}},"parts":[{"stones":1},{"stones":1}]}',
        b'{"auction":"a","amount":1,"tags":{"NaN":[1e300,-0.0],"":"\\u003a\\\\u003a"}}',
    ],
)
def test_names_may_come_again_in_other_objects_and_texts(data):
    assert StructDecoder(Bid).decode(data).amount == 1
    assert decode_object(data)["amount"] == 1


def test_an_ordinary_command_is_read_once(monkeypatch):
    monkeypatch.setattr("server.commands.decoding.repeats", None)
    assert StructDecoder(Bid).decode(BID).key == "k"
    assert StructDecoder(Bid).decode(BID[:-1] + b',"units":2}').units == 2
    assert decode_object(BID)["key"] == "k"


@given(
    st.recursive(st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_what_an_encoder_writes_names_nothing_twice(value):
    assert not repeats(json.encode({"value": value}))


@pytest.mark.parametrize(
    ("data", "pointer", "detail"),
    [
        (b"{}", "/points", "Object missing required field `points`"),
        (b'{"points":[{"lat":1},{"lat":91}]}', "/points/1/lat", "Expected `float` <= 90.0"),
        (b'{"points":[{}]}', "/points/0/lat", "Object missing required field `lat`"),
        (b'{"points":[],"names":{"a":"b"}}', "/names", "Expected `int`, got `str`"),
        (b'{"points":[],"pair":[1,2]}', "/pair/1", "Expected `str`, got `int`"),
        (
            b'{"points":[],"a/b~c":1}',
            "/a~1b~0c",
            "Object contains unknown field `a/b~c`; there are points, names, pair, walk_id, moods, stars, extra",
        ),
        (
            b'{"points":[],"walkid":1}',
            "/walkid",
            "Object contains unknown field `walkid`; did you mean `walk_id`?",
        ),
        (
            b'{"points":[{"let":1}]}',
            "/points/0/let",
            "Object contains unknown field `let`; did you mean `lat`?",
        ),
        (b"[]", "", "Expected `object`, got `array`"),
        (b'{"points":[]', "", "JSON is malformed: it ends early"),
        (b'{"points":[],"moods":["sad"]}', "/moods/0", "Invalid enum value 'sad'; choose glad, tired"),
        (b'{"points":[],"stars":9}', "/stars", "Invalid enum value 9; choose 1, 5"),
        (b'{"points":[],"walk_id":"x"}', "/walk_id", "Invalid UUID"),
    ],
)
def test_a_refusal_points_at_the_place(data, pointer, detail):
    with pytest.raises(InvalidInput) as raised:
        StructDecoder(Walk).decode(data)
    assert raised.value.facts["errors"] == [{"pointer": pointer, "detail": detail}]


@pytest.mark.parametrize(
    ("path", "pointer"),
    [(".a.b", "/a/b"), ("[0][12]", "/0/12"), (".a[3].b", "/a/3/b"), (".a[...].b", "/a"), ("", "")],
)
def test_path_text_becomes_a_json_pointer(path, pointer):
    assert pointer_of(path) == pointer


@pytest.mark.parametrize("data", [b"", b"null", b"{}"])
def test_no_data_is_an_empty_object(data):
    class Empty(Struct, forbid_unknown_fields=True):
        limit: int = 7

    assert StructDecoder(Empty).decode(data) == Empty(7)


def nested(depth, opening=b"[", closing=b"]"):
    return opening * depth + closing * depth


@pytest.mark.parametrize(("opening", "closing", "middle"), [(b"[", b"]", b""), (b'{"a":', b"}", b"1")])
def test_nesting_is_allowed_to_its_limit_and_not_beyond(opening, closing, middle):
    check_text(opening * DEPTH_MAX + middle + closing * DEPTH_MAX)
    with pytest.raises(InvalidInput, match="levels deep"):
        check_text(opening * (DEPTH_MAX + 1) + middle + closing * (DEPTH_MAX + 1))


def test_many_shallow_lists_and_brackets_in_text_are_not_deep():
    check_text(b"[" + b",".join([b"[1,[2]]"] * 1000) + b"]")
    check_text(json.encode({"text": "[{" * 500, "more": '\\"[[' * 100}))


@given(
    st.recursive(
        st.none() | st.text(alphabet='ab[]{}"\\', max_size=8),
        lambda inner: (
            st.lists(inner, max_size=12) | st.dictionaries(st.text(alphabet='[{"\\', max_size=3), inner)
        ),
        max_leaves=60,
    )
)
def test_depth_is_judged_as_counting_by_hand_does(value):
    def depth(v):
        if isinstance(v, list | dict):
            return 1 + max((depth(inner) for inner in (v.values() if isinstance(v, dict) else v)), default=0)
        return 0

    levels = DEPTH_MAX - depth(value)
    data = json.encode(value)
    padding = b"[" + b",".join([b"[]"] * 40) + b","  # enough brackets to be looked at closely
    check_text(padding + b"[" * (levels - 1) + data + b"]" * (levels - 1) + b"]")
    if depth(value):
        with pytest.raises(InvalidInput):
            check_text(padding + b"[" * levels + data + b"]" * levels + b"]")


def test_the_null_character_is_refused_and_its_look_alike_is_not():
    with pytest.raises(InvalidInput):
        check_text(rb'{"a":"x\u0000"}')
    with pytest.raises(InvalidInput):
        check_text(rb'{"a":"\\\u0000"}')
    check_text(rb'{"a":"\\u0000"}')


@given(st.text(alphabet='u0\\"x', max_size=24))
def test_the_null_character_is_found_behind_any_run_of_backslashes(text):
    data = b'{"a":"' + json.encode(text)[1:-1] + rb"\u0000" + b'"}'
    with pytest.raises(InvalidInput, match="U\\+0000"):
        check_text(data)
    check_text(json.encode({"a": text + r"\u0000", text: [r"\\u0000"]}))


def test_a_field_that_quotes_the_decoder_moves_no_pointer():
    name = "x - at `$.names"
    with pytest.raises(InvalidInput) as raised:
        StructDecoder(Houses).decode(json.encode({"houses": [{name: 1}]}))
    assert raised.value.facts["errors"][0]["pointer"] == f"/houses/0/{name}"


def test_a_long_unknown_name_is_not_repeated():
    with pytest.raises(InvalidInput) as raised:
        StructDecoder(Walk).decode(json.encode({"x" * 100_000: 1}))
    (error,) = raised.value.facts["errors"]
    assert error["pointer"] == ""
    assert len(error["detail"]) < 200


def test_a_command_type_that_ignores_members_is_refused_at_the_start():
    class Open(Struct):
        stones: int = 0

    class Town(Struct, forbid_unknown_fields=True):
        houses: list[Open] | None = None

    with pytest.raises(RuntimeError, match="Open would ignore unknown members"):
        StructDecoder(Town)


def test_members_that_nobody_knows_can_be_left_out():
    known = {
        "points": [{"lat": 1}],
        "names": {"free": 1},
        "pair": [1, "a"],
        "extra": {"any": [{}]},
        "moods": 7,
    }
    given = {**known, "points": [{"lat": 1, "lon": 2}], "more": {"lat": 1}}
    assert StructDecoder(Walk).without_unknown(given) == known


def test_a_member_that_comes_twice_in_a_long_text_has_no_place():
    data = b'{"auction":"a","amount":1,"tags":{"a":"%b","b":1,"b":2}}' % (b"x" * PLACED_BYTES_MAX)
    with pytest.raises(InvalidInput) as refused:
        StructDecoder(Bid).decode(data)
    assert refused.value.facts["errors"] == [{"pointer": "", "detail": "An object names a member twice"}]


def test_a_number_out_of_range_is_refused_and_a_large_one_is_not():
    assert decode_object(b'{"a":1.5e300}') == {"a": 1.5e300}
    for decode in (StructDecoder(Walk).decode, decode_object):
        with pytest.raises(InvalidInput, match="out of range"):
            decode(b'{"points":[],"extra":1e999}')


def test_too_much_data_is_refused():
    with pytest.raises(PayloadTooLarge):
        StructDecoder(Walk).decode(b" " * 300_000)


def test_an_object_is_expected():
    assert decode_object(b'{"a":1}') == {"a": 1}
    for data in (b"[]", b"1", b'"a"', b"null", b"{", b"\xff", b'{"a":"\xff"}'):
        with pytest.raises(InvalidInput):
            decode_object(data)


def test_path_parameters_become_their_types():
    assert convert_text("7", int, "/n") == 7
    with pytest.raises(InvalidInput) as raised:
        convert_text("x", int, "/n")
    assert raised.value.facts["errors"][0]["pointer"] == "/n"


class Page(Struct, forbid_unknown_fields=True):
    after: Annotated[int, Meta(ge=0)] = 0
    limit: int | None = None
    far: float = 0.0
    word: int | str = ""


@pytest.mark.parametrize("text", ["1e3", "1E3", "1000.0", "+5", " 5", "", "5 ", "0x10", "\u0663"])
def test_a_whole_number_in_a_query_is_digits_and_nothing_else(text):
    for name in ("after", "limit"):
        with pytest.raises(InvalidInput) as refused:
            StructDecoder(Page).convert({name: text}, strict=False)
        assert refused.value.facts["errors"][0]["pointer"] == f"/{name}"
    with pytest.raises(InvalidInput):
        convert_text(text, Annotated[int, Meta(ge=0)], "/number")


def test_numbers_of_a_query_are_read():
    page = StructDecoder(Page).convert(
        {"after": "12", "limit": "-3", "far": "1e3", "word": "1e3"}, strict=False
    )
    assert (page.after, page.limit, page.far) == (12, -3, 1000.0)
    assert convert_text("12", int, "/number") == 12
