"""Tags filters: what each comparison keeps, what is refused, and that equal filters are one."""

import pytest

from protocols.wire.centrifuge import FilterNode
from realtime.channels.tags import NODES_MAX, VALUES_MAX, BadFilterError, TagsFilter

TAGS = {"kind": "bid", "price": "10.5", "empty": ""}


def leaf(key, cmp, val="", vals=()):
    return FilterNode(key=key, cmp=cmp, val=val, vals=list(vals))


@pytest.mark.parametrize(
    ("node", "kept"),
    [
        (leaf("kind", "eq", "bid"), True),
        (leaf("kind", "eq", "sale"), False),
        (leaf("other", "eq", ""), False),
        (leaf("empty", "eq", ""), True),
        (leaf("kind", "neq", "sale"), True),
        (leaf("kind", "neq", "bid"), False),
        (leaf("other", "neq", "bid"), True),
        (leaf("kind", "in", vals=["a", "bid"]), True),
        (leaf("kind", "in", vals=["a"]), False),
        (leaf("other", "in", vals=["a"]), False),
        (leaf("kind", "nin", vals=["a"]), True),
        (leaf("kind", "nin", vals=["bid"]), False),
        (leaf("other", "nin", vals=["a"]), True),
        (leaf("kind", "ex"), True),
        (leaf("other", "ex"), False),
        (leaf("other", "nex"), True),
        (leaf("kind", "nex"), False),
        (leaf("kind", "sw", "bi"), True),
        (leaf("kind", "ew", "id"), True),
        (leaf("kind", "ct", "i"), True),
        (leaf("kind", "ct", "x"), False),
        (leaf("other", "ct", ""), False),
        (leaf("price", "lt", "10.50"), False),
        (leaf("price", "lte", "10.50"), True),
        (leaf("price", "gt", "9"), True),
        (leaf("price", "gte", "11"), False),
        (leaf("kind", "gt", "1"), False),
        (leaf("other", "lt", "1"), False),
        (FilterNode(op="and", nodes=[leaf("kind", "ex"), leaf("price", "gt", "9")]), True),
        (FilterNode(op="and", nodes=[leaf("kind", "ex"), leaf("price", "gt", "90")]), False),
        (FilterNode(op="or", nodes=[leaf("kind", "nex"), leaf("price", "gt", "9")]), True),
        (FilterNode(op="or", nodes=[leaf("kind", "nex"), leaf("price", "gt", "90")]), False),
        (FilterNode(op="not", nodes=[leaf("kind", "nex")]), True),
    ],
)
def test_filter_keeps_what_it_says(node, kept):
    assert TagsFilter(node).keeps(TAGS) is kept


def test_publication_without_tags_has_none():
    assert not TagsFilter(leaf("kind", "ex")).keeps(None)
    assert TagsFilter(leaf("kind", "nex")).keeps(None)


def nested(depth):
    node = leaf("a", "ex")
    for _ in range(depth):
        node = FilterNode(op="not", nodes=[node])
    return node


@pytest.mark.parametrize(
    "node",
    [
        FilterNode(),
        leaf("", "eq", "1"),
        leaf("a", "like", "1"),
        leaf("a", "lt", "cheap"),
        leaf("a", "lt", "NaN"),
        leaf("a", "gt", "Infinity"),
        FilterNode(op="xor", nodes=[leaf("a", "ex")]),
        FilterNode(op="and"),
        FilterNode(op="or"),
        FilterNode(op="not", nodes=[leaf("a", "ex")] * 2),
        FilterNode(key="a", cmp="ex", nodes=[leaf("a", "ex")]),
        FilterNode(op="or", nodes=[leaf("a", "ex")] * NODES_MAX),
        leaf("a", "in", vals=["v"] * (VALUES_MAX + 1)),
        nested(9),
    ],
)
def test_filter_without_meaning_or_measure_is_refused(node):
    with pytest.raises(BadFilterError):
        TagsFilter(node)


def test_filters_that_say_the_same_are_equal():
    one, same, other = (TagsFilter(leaf("a", "eq", value)) for value in ("1", "1", "2"))
    assert one == same
    assert len({one, same, other}) == 2
