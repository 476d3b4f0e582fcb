"""Examples for both documents, made from the schemas, so that none can be out of date.

A field shows the example of its own schema; without one, the example that a field of the same name has elsewhere (one
word means one thing on every layer); without that, the plainest value that fits.
"""

from collections.abc import Iterator
from typing import Any

from protocols.errors import Refusal
from protocols.problems import problem_members
from server.schemas.components import Components, Schema

ID = "019ab3c0-7a00-7000-8000-000000000001"
"""The id in every example."""

_BY_FORMAT = {
    "uuid": ID,
    "date-time": "2026-11-22T18:30:00.000Z",
    "date": "2026-11-22",
    "email": "name@example.com",
}
_SAME_AS = {"next_cursor": "cursor"}
_USUAL: dict[str, Any] = {
    "access_token": "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIwMTlhYjNjMCJ9.c2lnbmF0dXJl",
    "refresh_token": "eyJhbGciOiJFZERTQSJ9.eyJzaWQiOiIwMTlhYjNjMCJ9.c2lnbmF0dXJl",
    "bidder": "7f3k9q2m",
    "bid_count": 4,
    "caption": "The bag from the left.",
    "channel": f"auctions:{ID}",
    "commitment": "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a",
    "description": "Used twice, no scratches.",
    "display_name": "Amina",
    "email": "amina@example.org",
    "epoch": "k3Jd",
    "expires_in": 900,
    "full": f"/v1/photos/{ID.replace('-', '')}-full.jpg",
    "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
    "leader": "7f3k9q2m",
    "medium": f"/v1/photos/{ID.replace('-', '')}-medium.jpg",
    "message": "I collect these and pay within a day.",
    "minimum_bid": 1300,
    "name": "Bags",
    "note": "Two accounts of one household.",
    "nonce": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "parent": "fashion",
    "price": 1250,
    "q": "travel bag",
    "radius_m": 20_000,
    "reason": "Sold counterfeit goods.",
    "remote_ip": "203.0.113.7",
    "roles": "user",
    "slug": "bags",
    "small": f"/v1/photos/{ID.replace('-', '')}-small.jpg",
    "source": "Law 117 of 1983 on the protection of antiquities",
    "token": "eyJhbGciOiJFZERTQSJ9.eyJhdWQiOiJjaGFubmVscyJ9.c2lnbmF0dXJl",
    "weight_g": 1200,
    "volume_cm3": 18_000,
    "winner": "7f3k9q2m",
}
"""Values of fields whose schemas have no example anywhere."""

_USUAL_WORDS = ("english", "live", "active", "leading", "sold", "used", "user", "newest", "ready")
"""What is shown of an enumeration that has one of them; else its first word."""
_DEPTH_MAX = 8


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
        own = self._own(schema, name)
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

    def _own(self, schema: Schema, name: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return the example of the schema, its only value, or that of the field's namesake; None without one."""
        if schema.get("examples"):
            return schema["examples"][0]
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return next((word for word in _USUAL_WORDS if word in schema["enum"]), schema["enum"][0])
        known = _SAME_AS.get(name, name)
        namesake = self._by_name.get(known, _USUAL.get(known))
        if type(namesake) is {"string": str, "integer": int}.get(schema.get("type", "")) and (
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
