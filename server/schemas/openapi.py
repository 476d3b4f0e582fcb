"""The REST interface as an OpenAPI 3.1 document, made from the route tables."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from handlers.contract import Permission, Route
from protocols.auth import SessionOver, TokenExpired, TokenInvalid
from protocols.channels import ChannelEvents, PollChannel
from protocols.errors import (
    Internal,
    InvalidInput,
    KeyInFlight,
    KeyRequired,
    KeyReused,
    NotAllowed,
    PayloadTooLarge,
    RateLimited,
    Refusal,
    Stale,
    TemporarilyUnavailable,
    Unauthenticated,
    UnknownChannel,
    UnsupportedMediaType,
)
from server.errors_out import title_of
from server.http.arguments import HEADER_FIELDS, path_fields, reads_query
from server.schemas.components import Components, Schema

VERSION = "0.1.0"

GENERAL_REFUSALS: tuple[type[Refusal], ...] = (InvalidInput, RateLimited, Internal, TemporarilyUnavailable)
"""What any route may answer."""

_PROBLEM: Schema = {
    "type": "object",
    "description": "RFC 9457 problem; a refusal's facts (`minimum_bid`) are further members.",
    "required": ["type", "title", "status", "detail", "code", "number", "trace_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "A code word of `GET /v1/errors`."},
        "number": {"type": "integer", "minimum": 400, "maximum": 1999},
        "trace_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}

_ANSWER_HEADERS = {
    "X-Request-Id": {"description": "The trace id of this request.", "schema": {"type": "string"}},
    "RateLimit": {"description": "What is left of the caller's budget.", "schema": {"type": "string"}},
    "RateLimit-Policy": {"description": "The caller's budget.", "schema": {"type": "string"}},
}

_HEADER_TEXTS = {
    "key": "One key, one effect, whichever door and however often it is sent; kept at least 24 hours.",
    "if_match": "The ETag this change is based on; 412 when the resource changed since.",
}


def build_openapi(routes: Sequence[Route], url: str) -> Schema:
    """Return the document of the routes and of the server's own pages."""
    types = [route.command for route in routes] + [route.reply for route in routes if route.reply is not None]
    components = Components([*types, PollChannel, ChannelEvents])
    paths: dict[str, Schema] = defaultdict(dict)
    for route in routes:
        paths[route.path][route.method.lower()] = _Operation(route, components).describe()
    for path, item in _own_paths(components).items():
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
            "schemas": {**components.named, "Problem": _PROBLEM},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


class _Operation:
    """One route as an operation object."""

    def __init__(self, route: Route, components: Components) -> None:
        self._route = route
        self._components = components
        self._fields = {f.encode_name: f for f in msgspec.structs.fields(route.command)}
        self._schema = components.resolve(components.schema(route.command))
        self._in_path = path_fields(route)
        self._in_header = [name for name in HEADER_FIELDS if name in self._fields]

    def describe(self) -> Schema:
        """Return the operation object."""
        route = self._route
        doc = (route.function.__doc__ or route.name).strip()
        operation: Schema = {
            "operationId": route.name,
            "tags": [route.domain],
            "summary": doc.splitlines()[0],
            "description": f"Permission: {route.permission.value}. Cost: {route.cost}."
            + ("" if route.rpc else " REST only."),
            "parameters": [
                *self._parameters("path"),
                *self._parameters("query"),
                *self._parameters("header"),
            ],
            "responses": self._responses(),
            "security": [{"bearer": []}]
            if route.permission is not Permission.ANYONE
            else [{}, {"bearer": []}],
        }
        body = self._body()
        if body:
            operation["requestBody"] = body
        return operation

    def _rest(self) -> list[str]:
        """Names of the fields that are neither in the path nor in a header."""
        return [name for name in self._fields if name not in self._in_path and name not in self._in_header]

    def _parameters(self, place: str) -> Iterable[Schema]:
        names = {"path": self._in_path, "header": self._in_header}.get(place)
        if names is None:
            names = self._rest() if reads_query(self._route) else []
        properties = self._schema.get("properties", {})
        for name in names:
            parameter: Schema = {
                "name": HEADER_FIELDS.get(name, name) if place == "header" else name,
                "in": place,
                "required": place == "path" or self._is_required(name, place),
                "schema": {"type": "string"} if name == "if_match" else properties[name],
            }
            if place == "header":
                parameter["description"] = _HEADER_TEXTS[name]
            yield parameter

    def _is_required(self, name: str, place: str) -> bool:
        if place == "header":
            return name == "key" and self._route.key == "required"
        return name in self._schema.get("required", [])

    def _body(self) -> Schema | None:
        names = self._rest()
        if reads_query(self._route) or not names:
            return None
        properties = self._schema["properties"]
        required = [name for name in self._schema.get("required", []) if name in names]
        schema: Schema = {"type": "object", "properties": {name: properties[name] for name in names}}
        if required:
            schema["required"] = required
        content = {"schema": schema, "example": self._components.example(schema)}
        return {"required": bool(required), "content": {"application/json": content}}

    def _responses(self) -> Schema:
        route = self._route
        done: Schema = {"description": HTTPStatus(route.status).phrase, "headers": dict(_ANSWER_HEADERS)}
        if route.etag:
            done["headers"]["ETag"] = {"schema": {"type": "string"}}
        if route.key == "required":
            done["headers"]["Idempotent-Replay"] = {"schema": {"type": "string", "const": "true"}}
        if route.reply is not None and route.status != HTTPStatus.NO_CONTENT:
            schema = self._components.schema(route.reply)
            done["content"] = {"application/json": {"schema": schema}}
        return {str(route.status): done, **problem_responses(refusals_of(route))}


def refusals_of(route: Route) -> list[type[Refusal]]:
    """Return everything a route may refuse with, its own and the general ones, each once."""
    found: list[type[Refusal]] = [*route.refusals, *GENERAL_REFUSALS]
    if route.permission is not Permission.ANYONE:
        found.append(Unauthenticated)
    if route.permission in {Permission.SUPPORT, Permission.ADMIN}:
        found.append(NotAllowed)
    if not reads_query(route):
        found += [PayloadTooLarge, UnsupportedMediaType]
    if "key" in route.command.__struct_fields__:
        found += [KeyReused, KeyInFlight]
    if route.key == "required":
        found.append(KeyRequired)
    if "if_match" in route.command.__struct_fields__:
        found.append(Stale)
    return list(dict.fromkeys(found))


def problem_responses(refusals: Iterable[type[Refusal]]) -> Schema:
    """Return problem responses by status, with an example per code word."""
    by_status: dict[int, list[type[Refusal]]] = defaultdict(list)
    for refusal in refusals:
        by_status[refusal.status].append(refusal)
    return {str(status): _problem(kinds) for status, kinds in sorted(by_status.items())}


def _problem(kinds: Sequence[type[Refusal]]) -> Schema:
    examples = {kind.code: {"value": _problem_example(kind)} for kind in kinds}
    return {
        "description": " · ".join(f"`{kind.code}`: {title_of(kind)}" for kind in kinds),
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": examples,
            }
        },
    }


def _problem_example(kind: type[Refusal]) -> dict[str, Any]:
    return {
        "type": f"/v1/errors#{kind.code}",
        "title": title_of(kind),
        "status": kind.status,
        "detail": title_of(kind),
        "code": kind.code,
        "number": kind.number,
        "trace_id": "019ab3c0-7a00-7000-8000-000000000001",
    }


def _own_paths(components: Components) -> Schema:
    """Return the operations that are not commands: channels, catalogue, keys, health."""
    poll = components.resolve(components.schema(PollChannel))
    parameters = [
        {
            "name": name,
            "in": "path" if name == "channel" else "query",
            "required": name == "channel",
            "schema": schema,
        }
        for name, schema in poll["properties"].items()
    ]
    parameters.append(
        {
            "name": "Channel-Token",
            "in": "header",
            "required": False,
            "description": "A scope token; the answer is what its issuer may read.",
            "schema": {"type": "string", "maxLength": 4096},
        }
    )
    refusals = [*GENERAL_REFUSALS, Unauthenticated, NotAllowed, UnknownChannel]
    refusals += [TokenInvalid, TokenExpired, SessionOver]
    events = {"application/json": {"schema": components.schema(ChannelEvents)}}
    return {
        "/v1/channels/{channel}/events": {
            "get": {
                "operationId": "server.poll_channel",
                "tags": ["server"],
                "summary": "Events of a replayed channel after an offset; waits up to `wait_s` for the first.",
                "parameters": parameters,
                "security": [{}, {"bearer": []}],
                "responses": {
                    "200": {"description": "OK", "content": events},
                    **problem_responses(refusals),
                },
            }
        },
        "/v1/errors": _own("server.list_errors", "Every code word with its number and status."),
        "/.well-known/jwks.json": _own("server.list_keys", "Public keys that sign access tokens (RFC 7517)."),
        "/health/live": _own("server.live", "The process answers."),
        "/health/ready": _own("server.ready", "Every part works; 503 names the failing ones.", "503"),
    }


def _own(name: str, summary: str, *further: str) -> Schema:
    content = {"application/json": {"schema": {"type": "object"}}}
    responses = {
        status: {"description": HTTPStatus(int(status)).phrase, "content": content}
        for status in ("200", *further)
    }
    operation = {
        "operationId": name,
        "tags": ["server"],
        "summary": summary,
        "security": [{}],
        "responses": responses,
    }
    return {"get": operation}
