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
        self.named = _shortened(self.named, self._schemas)
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


def _shortened(named: dict[str, Schema], schemas: Iterable[Schema]) -> dict[str, Schema]:
    """Name types that two domains call alike after their domains, not their modules, also where they are used.

    `protocols.payments.commands.ListEntries` is `PaymentsListEntries`.
    """
    names = {name: _short(name) for name in named}
    if len(set(names.values())) < len(names):
        raise AssertionError("two types of one domain have the same name; give one of them another")
    left: list[Any] = [*named.values(), *schemas]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                value["$ref"] = PREFIX + names.get(value["$ref"].removeprefix(PREFIX), "")
            left += value.values()
        elif isinstance(value, list):
            left += value
    return {names[name]: schema for name, schema in named.items()}


def _short(name: str) -> str:
    module, _, kind = name.rpartition(".")
    parts = module.split(".")
    domain = parts[1] if len(parts) > 1 else parts[0]
    return "".join(word.capitalize() for word in domain.split("_")) + kind
