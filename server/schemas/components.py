"""JSON Schemas of the structs on the wire, shared by both documents, and examples made from them."""

from collections.abc import Iterable
from typing import Any

import msgspec

Schema = dict[str, Any]

_PREFIX = "#/components/schemas/"

_EXAMPLES_BY_FORMAT = {
    "uuid": "019ab3c0-7a00-7000-8000-000000000001",
    "date-time": "2026-11-22T18:30:00.000Z",
    "date": "2026-11-22",
    "email": "name@example.com",
}

_EXAMPLE_DEPTH_MAX = 8


class Components:
    """Named schemas of a set of types."""

    def __init__(self, types: Iterable[Any]) -> None:
        """Describe the types and all they contain."""
        self._types = list(types)
        schemas, self.named = msgspec.json.schema_components(
            self._types, schema_hook=lambda _kind: {}, ref_template=_PREFIX + "{name}"
        )
        self._schemas = schemas

    def schema(self, kind: Any) -> Schema:  # noqa: ANN401 - any type
        """Return the schema of one of the types, a reference where it has a name."""
        return self._schemas[next(i for i, known in enumerate(self._types) if known is kind or known == kind)]

    def resolve(self, schema: Schema) -> Schema:
        """Follow a reference."""
        if "$ref" in schema:
            named: Schema = self.named[schema["$ref"].removeprefix(_PREFIX)]
            return named
        return schema

    def example(self, schema: Schema, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON value
        """Return a value that fits a schema: its own example, or the plainest one."""
        schema = self.resolve(schema)
        if schema.get("examples"):
            return schema["examples"][0]
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        if schema.get("anyOf"):
            options = [option for option in schema["anyOf"] if option.get("type") != "null"]
            return self.example(options[0], depth) if options else None
        if depth > _EXAMPLE_DEPTH_MAX:
            return None
        return self._plain_example(schema, depth)

    def _plain_example(self, schema: Schema, depth: int) -> Any:  # noqa: ANN401 - as above
        kind = schema.get("type")
        if kind == "object":
            required = schema.get("required", [])
            return {
                name: self.example(inner, depth + 1)
                for name, inner in schema.get("properties", {}).items()
                if name in required
            }
        if kind == "array":
            items = schema.get("prefixItems") or [schema["items"]] * schema.get("minItems", 0)
            return [self.example(inner, depth + 1) for inner in items if isinstance(inner, dict)]
        if kind == "string":
            return self._text_example(schema)
        if kind in {"integer", "number"}:
            low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
            return max(low, 0) if "maximum" not in schema else min(max(low, 0), schema["maximum"])
        return {"boolean": False, "null": None}.get(str(kind), {})

    @staticmethod
    def _text_example(schema: Schema) -> str:
        text = _EXAMPLES_BY_FORMAT.get(schema.get("format", ""), "text")
        text = text.ljust(schema.get("minLength", 0), "x")
        return text[: schema.get("maxLength", len(text))]
