"""Bytes of a client into a command struct, or `invalid_input` that says where and why.

`pointer` is an RFC 6901 pointer into the command object: path and query parameters are fields of that object too.
"""

import re
from itertools import accumulate
from math import isinf
from typing import Any

import msgspec
from msgspec import Struct

from protocols.errors import InvalidInput, PayloadTooLarge
from protocols.repetition import repeats
from server.commands.repeated_members import find_repeated
from server.commands.shapes import (
    NAME_CHARS_MAX,
    choices,
    is_whole,
    known_members,
    names_at,
    open_structs,
    suggestion,
)

DEPTH_MAX = 32
"""Levels of nesting a body may have; the deepest command of ours has six."""

DATA_BYTES_MAX = 256 * 1024
"""Bytes of one command, over RPC or REST; the largest (a batch of positions) has about 50 KiB."""

_AT = " - at `"
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")
_MISSING = re.compile(r"Object missing required field `(.+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""One level down, one level up, as signed bytes."""
_DIGITS = re.compile(r"-?[0-9]+")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def read_float(text: str) -> float:
    """Return the number of a JSON text. Raises ValueError when it is out of range.

    The decoder's own way takes 8 us for a number such as 1.5e300: a quarter of a second for a body full of them.
    """
    number = float(text)
    if isinf(number):
        raise ValueError("Number out of range")
    return number


_decode_any = msgspec.json.Decoder(float_hook=read_float).decode


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
    if unknown := _UNKNOWN.fullmatch(detail):
        return _unknown_member(unknown[1], pointer, kind)
    if field := _MISSING.fullmatch(detail):
        pointer += "/" + field[1]
    elif kind is not None and detail.startswith("Invalid enum value") and (words := choices(kind, pointer)):
        detail += f"; choose {', '.join(map(str, words))}"
    return invalid(detail, pointer)


def _unknown_member(name: str, pointer: str, kind: Any) -> InvalidInput:  # noqa: ANN401 - any type that was decoded
    """Return the refusal of a member that its object has not; a long name is not repeated."""
    names = [] if kind is None else names_at(kind, pointer)
    if len(name) > NAME_CHARS_MAX:
        return invalid("Object contains an unknown field with a long name" + suggestion(name, names), pointer)
    place = pointer + "/" + name.replace("~", "~0").replace("/", "~1")
    return invalid(f"Object contains unknown field `{name}`" + suggestion(name, names), place)


def _cut_path(text: str) -> tuple[str, str]:
    """Return a decoder's message without its place, and the path of the place, "" for the whole input.

    The place is the message's end and made of our names; what stands before it may quote the client.
    """
    detail, at, place = text.rpartition(_AT)
    path = place.removeprefix("key` in `")
    if not at or not path.startswith("$") or not path.endswith("`"):
        return text, ""
    return detail, path[1:-1]


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
        if not repeats(data):
            return
        pointer = find_repeated(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise refusal_of(error) from None
    raise invalid(
        "An object names this member twice" if pointer else "An object names a member twice", pointer
    )


class StructDecoder:
    """Decodes one command type; built once per route."""

    def __init__(self, command: type[Struct]) -> None:
        """Build the decoder of a command type. Raises RuntimeError for a type that ignores unknown members."""
        if names := open_structs(command):
            raise RuntimeError(f"{', '.join(names)} would ignore unknown members: forbid_unknown_fields=True")
        self.command = command
        self._decode = msgspec.json.Decoder(command, float_hook=read_float).decode
        fields = msgspec.structs.fields(command)
        self._numbers = [f.encode_name for f in fields if is_whole(f.type)]
        self._required = sum(field.required for field in fields)
        """Members that are surely there."""
        self._with_key = self._required + any(f.name == "key" and not f.required for f in fields)
        """The same with the idempotency key that most commands have: one more when it is not empty."""
        self._optional: list[tuple[str, object]] = [
            (f.name, f.default) for f in fields if f.default is not msgspec.NODEFAULT
        ]
        """Members that are surely there when their value is another."""

    def decode(self, data: bytes) -> Struct:
        """Return the command in a JSON object; no data at all is an empty object. Raises InvalidInput."""
        if not data or data == b"null":
            data = b"{}"
        colons = check_text(data)
        try:
            value: Struct = self._decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise refusal_of(error, self.command) from None
        if (
            colons > self._required
            and (colons > self._with_key or not value.key)  # type: ignore[attr-defined]
            and colons > self._members_of(value)
        ):
            refuse_repeated(data)
        return value

    def _members_of(self, value: Struct) -> int:
        """Return how many members the JSON of a command had at least, those of inner objects not counted."""
        given = [name for name, default in self._optional if getattr(value, name) != default]
        return self._required + len(given)

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

    def without_unknown(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return decoded values without the members that the command, or an object in it, has not."""
        known: dict[str, Any] = known_members(values, self.command)
        return known


def check_digits(text: object, pointer: str) -> None:
    """Refuse text for a whole number that is more than digits: the decoder takes 1e3 and 1000.0 for 1000."""
    if isinstance(text, str) and not _DIGITS.fullmatch(text):
        raise invalid("Expected `int`", pointer)


def decode_object(data: bytes) -> dict[str, Any]:
    """Return the members of a JSON object; no data at all is an empty one. Raises InvalidInput."""
    if not data:
        return {}
    colons = check_text(data)
    try:
        value = _decode_any(data)
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
    if is_whole(kind):
        check_digits(text, pointer)
    try:
        return msgspec.convert(text, kind, strict=False)
    except (msgspec.MsgspecError, ValueError) as error:
        raise invalid(str(error), pointer) from None
