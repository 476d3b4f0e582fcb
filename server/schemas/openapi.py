"""The REST interface as an OpenAPI 3.1 document, made from the route tables."""

from collections import defaultdict
from collections.abc import Sequence
from http import HTTPStatus

import msgspec

from handlers.contract import Permission, Route
from server.http.arguments import HEADER_FIELDS, path_fields, reads_query, sets_device
from server.http.conditional import is_tagged
from server.http.created import locator
from server.schemas.components import Components, Schema
from server.schemas.examples import Examples
from server.schemas.own_pages import OWN_TYPES, own_paths
from server.schemas.problems import (
    HEADERS,
    PROBLEM,
    describe,
    header_refs,
    problem_examples,
    problem_responses,
    refusals_of,
)
from server.schemas.texts import summary

VERSION = "0.1.0"

_HEADER_TEXTS = {
    "key": "One key, one effect, whichever door and however often it is sent; kept at least 24 hours.",
    "stripe_signature": "The time and the HMAC-SHA-256 of both, as Stripe signs its webhooks; 300 s off at most.",
    "if_match": "The ETag this change is based on; 412 when the resource changed since.",
}

_IF_NONE_MATCH: Schema = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "ETags the reader has; 304 without a body when one of them is still right.",
    "example": '"3"',
}


def build_openapi(routes: Sequence[Route], url: str) -> Schema:
    """Return the document of the routes and of the server's own pages."""
    types = [route.command for route in routes] + [route.reply for route in routes if route.reply is not None]
    components = Components([*types, *OWN_TYPES])
    examples = Examples(components)
    paths: dict[str, Schema] = defaultdict(dict)
    for route in routes:
        paths[route.path][route.method.lower()] = _Operation(route, routes, components, examples).describe()
    for path, item in own_paths(components, examples).items():
        paths[path].update(item)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Mnbara",
            "version": VERSION,
            "description": "Every operation exists over the realtime connection too, as the RPC of its operationId.",
        },
        "servers": [{"url": url}],
        "tags": [{"name": name} for name in sorted({route.domain for route in routes} | {"server"})],
        "paths": dict(paths),
        "components": {
            "schemas": {**components.named, "Problem": PROBLEM},
            "headers": HEADERS,
            "examples": problem_examples(),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


class _Operation:
    """One route as an operation object."""

    def __init__(
        self, route: Route, routes: Sequence[Route], components: Components, examples: Examples
    ) -> None:
        self._route = route
        self._is_located = locator(route, routes) is not None
        self._components = components
        self._examples = examples
        self._fields = {f.encode_name: f for f in msgspec.structs.fields(route.command)}
        self._schema = components.resolve(components.schema(route.command))
        self._in_path = path_fields(route)
        self._in_header = [name for name in HEADER_FIELDS if name in self._fields]

    def describe(self) -> Schema:
        """Return the operation object."""
        route = self._route
        operation: Schema = {
            "operationId": route.name,
            "tags": [route.domain],
            "summary": summary(route.command),
            "description": describe(route) + ("" if route.rpc else " REST only."),
            "parameters": [
                *(self._parameter(name, "path") for name in self._in_path),
                *(self._parameter(name, "query") for name in self._rest() if reads_query(route)),
                *(self._header_parameter(name) for name in self._in_header),
            ],
            "responses": self._responses(),
            "security": [{"bearer": []}]
            if route.permission is not Permission.ANYONE
            else [{}, {"bearer": []}],
        }
        if route.deprecated is not None:
            operation["deprecated"] = True
        if is_tagged(route):
            operation["parameters"].append(_IF_NONE_MATCH)
        body = self._body()
        if body:
            operation["requestBody"] = body
        return operation

    def _rest(self) -> list[str]:
        """Names of the fields that are neither in the path nor in a header."""
        return [name for name in self._fields if name not in self._in_path and name not in self._in_header]

    def _parameter(self, name: str, place: str) -> Schema:
        schema = self._schema["properties"][name]
        return {
            "name": name,
            "in": place,
            "required": self._is_required(name, place),
            "schema": schema,
            "example": self._examples.field(name, schema),
        }

    def _header_parameter(self, name: str) -> Schema:
        return {
            "name": HEADER_FIELDS[name],
            "in": "header",
            "required": self._is_required(name, "header"),
            "schema": {"type": "string"} if name == "if_match" else self._schema["properties"][name],
            "description": _HEADER_TEXTS[name],
            "example": '"3"' if name == "if_match" else self._examples.field(name, {"type": "string"}),
        }

    def _is_required(self, name: str, place: str) -> bool:
        if place == "header":
            return name == "key" and self._route.key == "required"
        return place == "path" or name in self._schema.get("required", [])

    def _body(self) -> Schema | None:
        names = self._rest()
        if reads_query(self._route) or not names:
            return None
        if self._route.upload is not None:
            example = self._route.upload.example
            described: Schema = {} if example is None else {"schema": {"type": "object"}, "example": example}
            return {"required": True, "content": dict.fromkeys(self._route.upload.media_types, described)}
        properties = self._schema["properties"]
        required = [name for name in self._schema.get("required", []) if name in names]
        schema: Schema = {"type": "object", "properties": {name: properties[name] for name in names}}
        if required:
            schema["required"] = required
        content = {"schema": schema, "example": self._examples.body(schema)}
        return {"required": bool(required), "content": {"application/json": content}}

    def _responses(self) -> Schema:
        route = self._route
        names = ["X-Request-Id", "RateLimit", "RateLimit-Policy"]
        if route.etag or is_tagged(route):
            names.append("ETag")
        if "key" in self._fields:
            names.append("Idempotent-Replay")
        if sets_device(route):
            names.append("Set-Cookie")
        if self._is_located:
            names.append("Location")
        if route.deprecated is not None:
            names += ["Deprecation", "Sunset", "Link"]
        done: Schema = {"description": HTTPStatus(route.status).phrase, "headers": header_refs(*names)}
        if route.reply is not None and route.status != HTTPStatus.NO_CONTENT:
            schema = self._components.schema(route.reply)
            example = self._examples.answer(schema)
            done["content"] = {"application/json": {"schema": schema, "example": example}}
            if route.text:
                whole = {"schema": {"type": "string"}, "example": example[route.text]}
                done["content"] = {"text/plain; charset=utf-8": whole}
            if route.downloads is not None:
                done["content"] |= {kind: {} for kind in route.downloads.media_types}
                done["headers"] |= header_refs("Content-Disposition")
        responses = {str(route.status): done}
        if is_tagged(route):
            headers = header_refs("X-Request-Id", "ETag")
            responses["304"] = {"description": "The reader has it already.", "headers": headers}
        return {**responses, **problem_responses(refusals_of(route))}
