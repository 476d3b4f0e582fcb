"""Tags filter: which publications of a channel a subscriber gets, by their tags."""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation

import msgspec

from protocols.wire.centrifuge import FilterNode

DEPTH_MAX = 8
NODES_MAX = 64
VALUES_MAX = 128

Tags = Mapping[str, str]
Test = Callable[[Tags], bool]


class BadFilterError(ValueError):
    """The filter is not valid, or too large."""


class TagsFilter:
    """A compiled filter; filters with the same text are equal, so their readers share one encoding."""

    __slots__ = ("_hash", "_test", "text")

    def __init__(self, node: FilterNode) -> None:
        """Compile the filter. Raises BadFilterError."""
        self.text = msgspec.json.encode(node)
        self._hash = hash(self.text)
        self._test = _Compiler().compile(node, 0)

    def keeps(self, tags: Tags | None) -> bool:
        """Whether the filter lets a publication with these tags through."""
        return self._test(tags or {})

    def __eq__(self, other: object) -> bool:
        """Whether both have the same text."""
        return isinstance(other, TagsFilter) and other.text == self.text

    def __hash__(self) -> int:
        """Agree with equality."""
        return self._hash


class _Compiler:
    """Turns nodes into tests and counts them."""

    def __init__(self) -> None:
        self._nodes = 0

    def compile(self, node: FilterNode, depth: int) -> Test:
        self._nodes += 1
        if depth >= DEPTH_MAX or self._nodes > NODES_MAX or len(node.vals) > VALUES_MAX:
            raise BadFilterError("too large a filter")
        if not node.op:
            return _leaf(node)
        tests = [self.compile(child, depth + 1) for child in node.nodes]
        if node.op == "and" and tests:
            return lambda tags: all(test(tags) for test in tests)
        if node.op == "or" and tests:
            return lambda tags: any(test(tags) for test in tests)
        if node.op == "not" and len(tests) == 1:
            return lambda tags: not tests[0](tags)
        raise BadFilterError("no such operator")


def _leaf(node: FilterNode) -> Test:
    """Return the test of one comparison; without the tag only `neq`, `nin` and `nex` are true."""
    key, val, vals = node.key, node.val, frozenset(node.vals)
    tests: dict[str, Test] = {
        "eq": lambda tags: tags.get(key) == val,
        "neq": lambda tags: tags.get(key) != val,
        "in": lambda tags: tags.get(key) in vals,
        "nin": lambda tags: tags.get(key) not in vals,
        "ex": lambda tags: key in tags,
        "nex": lambda tags: key not in tags,
        "sw": lambda tags: key in tags and tags[key].startswith(val),
        "ew": lambda tags: key in tags and tags[key].endswith(val),
        "ct": lambda tags: key in tags and val in tags[key],
    }
    test = tests.get(node.cmp) or _numeric(node)
    if not key or node.nodes or test is None:
        raise BadFilterError("no such comparison")
    return test


def _numeric(node: FilterNode) -> Test | None:
    bound = _decimal(node.val)
    if bound is None:
        return None
    compare: dict[str, Callable[[Decimal], bool]] = {
        "lt": lambda number: number < bound,
        "lte": lambda number: number <= bound,
        "gt": lambda number: number > bound,
        "gte": lambda number: number >= bound,
    }
    fits, key = compare.get(node.cmp), node.key
    if fits is None:
        return None

    def test(tags: Tags) -> bool:
        number = _decimal(tags.get(key, ""))
        return number is not None and fits(number)

    return test


def _decimal(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
