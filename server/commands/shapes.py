"""What a command type takes at each place: words, names of members, and whether it refuses all others."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from msgspec import Struct, inspect

NAME_CHARS_MAX = 64
"""Longer names of members are neither compared nor repeated to the client; ours have 30."""

_LIKENESS = 0.5
"""`difflib`'s ratio from which a name is suggested."""


def choices(kind: Any, pointer: str) -> list[Any]:  # noqa: ANN401 - any type that can be decoded
    """Return the words that are taken at a place of a type."""
    return [
        word
        for place in _at(kind, pointer)
        if isinstance(place, inspect.LiteralType)
        for word in place.values
    ]


def names_at(kind: Any, pointer: str) -> list[str]:  # noqa: ANN401 - as above
    """Return the members of the objects that are taken at a place of a type."""
    return [
        field.encode_name
        for place in _at(kind, pointer)
        if isinstance(place, inspect.StructType)
        for field in place.fields
    ]


def suggestion(name: str, names: list[str]) -> str:
    """Return "; did you mean …" for a name that there is not, "; there are …" when no other is like it.

    Cost: below a millisecond; names beyond `NAME_CHARS_MAX` are not compared.
    """
    if not names:
        return "; there is none"
    short = name[:NAME_CHARS_MAX]
    near = get_close_matches(short, names, 1, _LIKENESS) if len(name) <= NAME_CHARS_MAX else []
    return f"; did you mean `{near[0]}`?" if near else f"; there are {', '.join(names)}"


def open_structs(kind: type[Struct]) -> list[str]:
    """Return the names of the structs in a command, itself included, that would ignore unknown members."""
    seen: dict[type, bool] = {}
    waiting: list[inspect.Type] = [inspect.type_info(kind)]
    while waiting:
        place = waiting.pop()
        if isinstance(place, inspect.StructType):
            if place.cls in seen:
                continue
            seen[place.cls] = place.forbid_unknown_fields
        waiting += _children(place)
    return [struct.__name__ for struct, closed in seen.items() if not closed]


def known_members(value: Any, kind: Any) -> Any:  # noqa: ANN401 - any decoded JSON, any type
    """Return decoded JSON without the members that its type has not, at any depth; wrong values stay as they are."""
    return _known(value, _options(inspect.type_info(kind)))


def _known(value: Any, places: list[inspect.Type]) -> Any:  # noqa: ANN401 - as above
    if isinstance(value, dict):
        structs = [place for place in places if isinstance(place, inspect.StructType)]
        if len(structs) != 1 or len(structs) != len(
            [p for p in places if not isinstance(p, inspect.NoneType)]
        ):
            return value  # an object of free names, or a value that the type refuses anyway
        return {
            field.encode_name: _known(value[field.encode_name], _options(field.type))
            for field in structs[0].fields
            if field.encode_name in value
        }
    if isinstance(value, list):
        inner = [
            option
            for place in places
            if isinstance(place, inspect.ListType | inspect.VarTupleType)
            for option in _options(place.item_type)
        ]
        return [_known(item, inner) for item in value] if inner else value
    return value


def _at(kind: Any, pointer: str) -> list[inspect.Type]:  # noqa: ANN401 - as above
    places = _options(inspect.type_info(kind))
    for step in pointer.split("/")[1:]:
        places = [option for place in places for inner in _inside(place, step) for option in _options(inner)]
    return places


def is_whole(kind: Any) -> bool:  # noqa: ANN401 - any type that can be decoded
    """Whether a place of this type takes a whole number and no text."""
    kinds = [
        type(option)
        for option in _options(inspect.type_info(kind))
        if not isinstance(option, inspect.NoneType)
    ]
    return bool(kinds) and all(kind is inspect.IntType for kind in kinds)


def _options(place: inspect.Type) -> list[inspect.Type]:
    if isinstance(place, inspect.Metadata):
        return _options(place.type)
    if isinstance(place, inspect.UnionType):
        return [option for inner in place.types for option in _options(inner)]
    return [place]


def _inside(place: inspect.Type, step: str) -> list[inspect.Type]:
    if isinstance(place, inspect.StructType):
        return [field.type for field in place.fields if field.encode_name == step]
    if isinstance(place, inspect.TupleType):
        return [inner for index, inner in enumerate(place.item_types) if str(index) == step]
    return list(_children(place))


def _children(place: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(place, inspect.Metadata):
        yield place.type
    elif isinstance(place, inspect.StructType):
        yield from (field.type for field in place.fields)
    elif isinstance(place, inspect.UnionType):
        yield from place.types
    elif isinstance(place, inspect.TupleType):
        yield from place.item_types
    elif isinstance(place, inspect.ListType | inspect.VarTupleType):
        yield place.item_type
    elif isinstance(place, inspect.DictType):
        yield place.value_type
