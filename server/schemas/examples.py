"""Examples for both documents, made from the schemas, so that none can be out of date.

A field shows what the story of the examples has for it, else the example of its own schema; without one, the example
that a field of the same name has elsewhere (one word means one thing on every layer); without that, the plainest value
that fits.
"""

from collections.abc import Iterator
from typing import Any

from protocols.errors import Refusal
from protocols.problems import problem_members
from server.schemas.components import Components, Schema
from server.schemas.example_values import ABSENT, FIRST, VALUES, WORDS, id_of, identity, instant

ID = id_of("listing_id")
"""The id where no field names one."""

_BY_FORMAT = {"date": "2026-11-22", "email": "name@example.com"}
_SAME_AS = {"next_cursor": "cursor"}
_DEPTH_MAX = 8
_JSON_TYPES = {str: "string", int: "integer", bool: "boolean", list: "array", dict: "object"}


class Examples:
    """Makes values that fit schemas."""

    def __init__(self, components: Components) -> None:
        """Learn the examples that fields have of their own."""
        self._components = components
        self._by_name: dict[str, Any] = {}
        for schema in components.named.values():
            for name, own in _own_examples(schema):
                self._by_name.setdefault(name, own)

    def answer(self, schema: Schema) -> Any:  # noqa: ANN401 - any JSON value
        """Return an answer or event in full: every field, one item per list."""
        return self._value(schema, "", full=True, above=())

    def body(self, schema: Schema) -> dict[str, Any]:
        """Return a request's body: its required fields, or the first when none is; others may exclude each other."""
        properties = schema.get("properties", {})
        shown = schema.get("required") or list(properties)[:1]
        return {name: self.field(name, properties[name]) for name in properties if name in shown}

    def field(self, name: str, schema: Schema) -> Any:  # noqa: ANN401 - any JSON value
        """Return a value for one field of a request."""
        return self._value(schema, name, full=False, above=())

    def _value(self, schema: Schema, name: str, *, full: bool, above: tuple[str, ...]) -> Any:  # noqa: ANN401
        if "$ref" in schema and not schema.get("examples"):
            if schema["$ref"] in above or len(above) >= _DEPTH_MAX:
                return None
            above = (*above, schema["$ref"])
            schema = self._components.resolve(schema)
        if name in ABSENT and {"type": "null"} in schema.get("anyOf", ()):
            return None
        own = self._own(schema, name, above[-1].rpartition("/")[2] if above else "")
        if own is not None:
            return own
        if schema.get("anyOf"):
            options = [option for option in schema["anyOf"] if option.get("type") != "null"]
            return self._value(options[0], name, full=full, above=above) if options else None
        kind = schema.get("type")
        if kind == "object":
            shown = schema.get("properties", {})
            if not full:
                shown = {key: inner for key, inner in shown.items() if key in schema.get("required", ())}
            return {key: self._value(inner, key, full=full, above=above) for key, inner in shown.items()}
        if kind == "array":
            return self._items(schema, name, full=full, above=above)
        return _plainest(schema)

    def _own(self, schema: Schema, name: str, owner: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return the value of the story, the schema's example or only value, or the namesake's; None without one."""
        if schema.get("format") == "uuid":
            return identity(name, owner)
        if schema.get("format") == "date-time":
            return instant(name)
        first = FIRST.get(f"{owner}.{name}", FIRST.get(name))
        if first is not None and "anyOf" not in schema and _fits(first, schema):
            return first
        if schema.get("examples"):
            return schema["examples"][0]
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return next((word for word in WORDS if word in schema["enum"]), schema["enum"][0])
        known = _SAME_AS.get(name, name)
        namesake = self._by_name.get(known, VALUES.get(known))
        if _JSON_TYPES.get(type(namesake)) == schema.get("type", "") and (
            "format" not in schema or schema["format"] == "email"
        ):
            return namesake
        return None

    def _items(self, schema: Schema, name: str, *, full: bool, above: tuple[str, ...]) -> list[Any]:
        items = schema.get("prefixItems")
        if items is None:
            items = [schema["items"]] * max(schema.get("minItems", 0), int(full)) if "items" in schema else []
        made = [self._value(inner, name, full=full, above=above) for inner in items]
        return [] if None in made and "prefixItems" not in schema else made


def _own_examples(schema: Schema) -> Iterator[tuple[str, Any]]:
    for name, inner in schema.get("properties", {}).items():
        for option in (inner, *inner.get("anyOf", ())):
            if option.get("examples"):
                yield name, option["examples"][0]


def _fits(value: Any, schema: Schema) -> bool:  # noqa: ANN401 - any JSON value
    """Return whether a value is of a schema's kind: one of its words, or of its type."""
    words = schema.get("enum")
    return value in words if words else bool(schema.get("type") == _JSON_TYPES[type(value)])


def _plainest(schema: Schema) -> Any:  # noqa: ANN401 - any JSON value
    kind = schema.get("type")
    if kind == "string":
        text = _BY_FORMAT.get(schema.get("format", ""), "text").ljust(schema.get("minLength", 0), "x")
        return text[: schema.get("maxLength", len(text))]
    if kind in {"integer", "number"}:
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        return min(max(low, 1), schema.get("maximum", 1))
    return {"boolean": False, "null": None}.get(str(kind), {})


def problem_example(kind: type[Refusal]) -> dict[str, Any]:
    """Return the problem document of a refusal with the facts it carries."""
    return problem_members(kind(**kind.example), ID)
