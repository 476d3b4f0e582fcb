"""Bytes of a client into a command struct, or `invalid_input` that says where and why.

`pointer` is an RFC 6901 pointer into the command object: path and query parameters are fields of that object too.
"""

import re
from itertools import accumulate
from typing import Any

import msgspec
from msgspec import Struct, inspect

from protocols.errors import InvalidInput, PayloadTooLarge
from server.commands.repeated_members import find_repeated

DEPTH_MAX = 32
"""Levels of nesting a body may have; the deepest command of ours has six."""

DATA_BYTES_MAX = 256 * 1024
"""Bytes of one command, over RPC or REST; the largest (a batch of positions) has about 50 KiB."""

_AT = " - at `"
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")
_MISSING = re.compile(r"Object (?:missing required|contains unknown) field `(.+)`", re.DOTALL)
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""One level down, one level up, as signed bytes."""
_DIGITS = re.compile(r"-?[0-9]+")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def invalid(detail: str, pointer: str = "") -> InvalidInput:
    """Return the refusal of one place of the input."""
    return InvalidInput(detail, errors=[{"pointer": pointer, "detail": detail}])


def pointer_of(path: str) -> str:
    """Return the RFC 6901 pointer of a decoder's path text: `.fixes[0].lat` is `/fixes/0/lat`.

    A step through the values of an object has no name in the text (`[...]`): the pointer ends at that object.
    """
    steps: list[str] = []
    for name, index in _STEP.findall(path):
        if not name and not index:
            break
        steps.append("/" + (name or index).replace("~", "~0").replace("/", "~1"))
    return "".join(steps)


def refusal_of(error: Exception, kind: Any = None) -> InvalidInput:  # noqa: ANN401 - any type that was decoded
    """Return the refusal for what the decoder of a type raised."""
    if isinstance(error, RecursionError):
        return invalid("Nested too deeply")
    if isinstance(error, UnicodeError):
        return invalid("Text is not valid UTF-8")
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        if not isinstance(error, msgspec.DecodeError):
            return invalid("Not a value of the schema")
        return invalid(text if text.startswith("JSON") else "JSON is malformed: it ends early")
    detail, path = _cut_path(text)
    pointer = pointer_of(path)
    field = _MISSING.fullmatch(detail)
    if field:
        pointer += "/" + field[1].replace("~", "~0").replace("/", "~1")
    elif kind is not None and detail.startswith("Invalid enum value") and (words := choices(kind, pointer)):
        detail += f"; choose {', '.join(map(str, words))}"
    return invalid(detail, pointer)


def _cut_path(text: str) -> tuple[str, str]:
    """Return a decoder's message without its place, and the path of the place, "" for the whole input.

    The place is the message's end and made of our names; what stands before it may quote the client.
    """
    detail, at, place = text.rpartition(_AT)
    path = place.removeprefix("key` in `")
    if not at or not path.startswith("$") or not path.endswith("`"):
        return text, ""
    return detail, path[1:-1]


def choices(kind: Any, pointer: str) -> list[Any]:  # noqa: ANN401 - any type that can be decoded
    """Return the words that are taken at a place of a type."""
    places = _options(inspect.type_info(kind))
    for step in pointer.split("/")[1:]:
        places = [option for place in places for inner in _inside(place, step) for option in _options(inner)]
    return [word for place in places if isinstance(place, inspect.LiteralType) for word in place.values]


def _options(place: inspect.Type) -> list[inspect.Type]:
    return list(place.types) if isinstance(place, inspect.UnionType) else [place]


def _inside(place: inspect.Type, step: str) -> list[inspect.Type]:
    if isinstance(place, inspect.StructType):
        return [field.type for field in place.fields if field.encode_name == step]
    if isinstance(place, inspect.ListType | inspect.VarTupleType):
        return [place.item_type]
    if isinstance(place, inspect.TupleType):
        return [place.item_types[int(step)]]
    return [place.value_type] if isinstance(place, inspect.DictType) else []


def check_text(data: bytes) -> int:
    """Refuse JSON too long, nested deeper than `DEPTH_MAX`, or with the character U+0000 that the database cannot keep.

    Return the number of its colons: no less than its members. What is no JSON may pass: the decoder refuses it. Cost:
    three scans in C for ordinary input; one with many brackets or an escaped U+0000 is looked at closely, in time
    linear in its length whatever it holds.
    """
    if len(data) > DATA_BYTES_MAX:
        raise PayloadTooLarge(f"A command may have {DATA_BYTES_MAX} bytes", maximum_bytes=DATA_BYTES_MAX)
    colons, lists = data.count(b":"), data.count(b"[")
    # An object with another one in it has a colon before that, or is in a list: so many levels at most.
    if colons + lists >= DEPTH_MAX and data.count(b"{") + lists > DEPTH_MAX and not _is_shallow(data):
        raise invalid(f"Nested more than {DEPTH_MAX} levels deep, or brackets that do not match")
    if (
        b"\\" in data and b"\\u0000" in data and b"\\u0000" in data.replace(b"\\\\", b"--")
    ):  # without backslashes that are escaped
        raise invalid("Text may not contain the character U+0000")
    return colons


def _is_shallow(data: bytes) -> bool:
    """Whether as many brackets close as open, and never more than `DEPTH_MAX` are open; brackets in strings are text.

    Without escaped backslashes, and then without escaped quotes, every quote begins or ends a string.
    """
    quoted = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    steps = b"".join(quoted.split(b'"')[::2]).translate(_STEPS, _NOT_BRACKETS)
    depths = [0, *accumulate(memoryview(steps).cast("b"))]
    return depths[-1] == 0 and max(depths) <= DEPTH_MAX


def refuse_repeated(data: bytes) -> None:
    """Refuse decoded JSON in which an object names a member twice, at any depth. Raises InvalidInput."""
    try:
        pointer = find_repeated(data)
    except (ValueError, RecursionError) as error:
        raise refusal_of(error) from None
    if pointer is not None:
        raise invalid("An object names this member twice", pointer)


class StructDecoder:
    """Decodes one command type; built once per route."""

    def __init__(self, command: type[Struct]) -> None:
        """Build the decoder of a command type."""
        self.command = command
        self._decode = msgspec.json.Decoder(command).decode
        fields = msgspec.structs.fields(command)
        self._numbers = [f.encode_name for f in fields if _is_whole(inspect.type_info(f.type))]
        self._required = sum(field.required for field in fields)
        """Members that are surely there."""
        self._with_key = self._required + any(f.name == "key" and not f.required for f in fields)
        """The same with the idempotency key that most commands have: one more when it is not empty."""

    def decode(self, data: bytes) -> Struct:
        """Return the command in a JSON object; no data at all is an empty object. Raises InvalidInput."""
        if not data or data == b"null":
            data = b"{}"
        colons = check_text(data)
        try:
            value: Struct = self._decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise refusal_of(error, self.command) from None
        if colons > self._required and (colons > self._with_key or not value.key):  # type: ignore[attr-defined]
            refuse_repeated(data)
        return value

    def convert(self, values: dict[str, Any], *, strict: bool) -> Struct:
        """Return the command of decoded values; `strict=False` reads numbers and booleans from text.

        Raises: InvalidInput.
        """
        if not strict:
            for name in self._numbers:
                check_digits(values.get(name), "/" + name)
        try:
            return msgspec.convert(values, self.command, strict=strict)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise refusal_of(error, self.command) from None


def check_digits(text: object, pointer: str) -> None:
    """Refuse text for a whole number that is more than digits: the decoder takes 1e3 and 1000.0 for 1000."""
    if isinstance(text, str) and not _DIGITS.fullmatch(text):
        raise invalid("Expected `int`", pointer)


def _is_whole(place: inspect.Type) -> bool:
    """Whether a place takes a whole number and no text."""
    kinds = [type(option) for option in _options(place) if not isinstance(option, inspect.NoneType)]
    return bool(kinds) and all(kind is inspect.IntType for kind in kinds)


def decode_object(data: bytes) -> dict[str, Any]:
    """Return the members of a JSON object; no data at all is an empty one. Raises InvalidInput."""
    if not data:
        return {}
    colons = check_text(data)
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise refusal_of(error) from None
    if not isinstance(value, dict):
        raise invalid("Expected `object`")
    if colons > len(value):
        refuse_repeated(data)
    return value


def convert_text(text: str, kind: Any, pointer: str) -> Any:  # noqa: ANN401 - any field's type and value
    """Return the value of a path parameter's text. Raises InvalidInput at `pointer`."""
    if "\x00" in text:
        raise invalid("Text may not contain the character U+0000", pointer)
    if _is_whole(inspect.type_info(kind)):
        check_digits(text, pointer)
    try:
        return msgspec.convert(text, kind, strict=False)
    except (msgspec.MsgspecError, ValueError) as error:
        raise invalid(str(error), pointer) from None
