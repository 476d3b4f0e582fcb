"""JSON objects that name a member twice: parsers differ about which value counts, so neither does.

Source: RFC 8259 section 4, RFC 7493 section 2.3. Our decoder takes the last one silently. An object has a colon for
each member, so a text with no more colons than names that are known to be different repeats none: `decoding` looks at
that. Others are read a second time here, in time linear in their length.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any


class _RepeatedError(Exception):
    """Some object of the text has a name twice."""


class _Members(list[tuple[str, Any]]):
    """An object as it was written."""


def find_repeated(data: bytes) -> str | None:
    """Return the pointer (RFC 6901) of a member whose name its object has twice, None when there is none.

    For JSON that was decoded already, of bounded depth. Raises: UnicodeError. Linear in its length.
    """
    text = data.decode()
    try:
        _parse(text, _check)
    except _RepeatedError:
        found = _find(_parse(text, _Members))
        assert found is not None, "a repeated name has a place"
        return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in found)
    return None


def _parse(text: str, take: Callable[[list[tuple[str, Any]]], Any]) -> Any:  # noqa: ANN401 - any JSON value
    return json.loads(
        text, object_pairs_hook=take, parse_int=str, parse_float=str
    )  # digits mean nothing here


def _check(members: Sequence[tuple[str, Any]]) -> None:
    if len(members) > 1 and len({name for name, _ in members}) < len(members):
        raise _RepeatedError


def _find(value: Any) -> list[str] | None:  # noqa: ANN401 - any JSON value
    """Return the steps to the first repeated name."""
    if isinstance(value, _Members):
        seen: set[str] = set()
        for name, _ in value:
            if name in seen:
                return [name]
            seen.add(name)
        places = value
    elif isinstance(value, list):
        places = _Members((str(index), inner) for index, inner in enumerate(value))
    else:
        return None
    for name, inner in places:
        steps = _find(inner)
        if steps is not None:
            return [name, *steps]
    return None
