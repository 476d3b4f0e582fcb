"""JSON Schemas of the structs on the wire, shared by both documents."""

from collections.abc import Iterable
from typing import Any

import msgspec

from server.schemas.texts import flowing

Schema = dict[str, Any]

PREFIX = "#/components/schemas/"


class Components:
    """Named schemas of a set of types."""

    def __init__(self, types: Iterable[Any]) -> None:
        """Describe the types and all they contain."""
        self._types = list(types)
        schemas, self.named = msgspec.json.schema_components(
            self._types, schema_hook=lambda _kind: {}, ref_template=PREFIX + "{name}"
        )
        self._schemas = schemas
        for schema in self.named.values():
            if "description" in schema:
                schema["description"] = flowing(schema["description"])

    def schema(self, kind: Any) -> Schema:  # noqa: ANN401 - any type
        """Return the schema of one of the types, a reference where it has a name."""
        return self._schemas[next(i for i, known in enumerate(self._types) if known is kind or known == kind)]

    def resolve(self, schema: Schema) -> Schema:
        """Follow a reference."""
        if "$ref" in schema:
            named: Schema = self.named[schema["$ref"].removeprefix(PREFIX)]
            return named
        return schema
