"""What any operation may be refused with, as OpenAPI responses: the problem document, its headers, an example each."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from http import HTTPStatus

from handlers.contract import Permission, Route
from protocols.errors import (
    CATALOGUE,
    Internal,
    InvalidInput,
    KeyInFlight,
    KeyRequired,
    KeyReused,
    NotAllowed,
    PayloadTooLarge,
    RateLimited,
    Refusal,
    RequestTimeout,
    Stale,
    TemporarilyUnavailable,
    Unauthenticated,
    UnsupportedMediaType,
    UriTooLong,
)
from protocols.problems import title_of
from server.http.arguments import reads_query, reads_token
from server.schemas.components import Schema
from server.schemas.examples import ID, problem_example
from server.schemas.texts import budget, promise

GENERAL_REFUSALS: tuple[type[Refusal], ...] = (InvalidInput, RateLimited, Internal, TemporarilyUnavailable)
"""What any route may answer."""

PROBLEM: Schema = {
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

HEADERS: Schema = {
    "X-Request-Id": {
        "description": "The id of this request, and its trace unless you sent one: yours, of 8 to 64 plain characters.",
        "required": True,
        "schema": {"type": "string", "examples": [ID]},
    },
    "RateLimit": {
        "description": "What is left of the caller's budget: `r` units now, whole again in `t` seconds.",
        "schema": {"type": "string", "examples": ['"user";r=246;t=1']},
    },
    "RateLimit-Policy": {
        "description": "The caller's budget: `q` units at once, which grow back within `w` seconds.",
        "schema": {"type": "string", "examples": ['"user";q=251;w=5']},
    },
    "ETag": {
        "description": "The version that was answered, for If-Match and If-None-Match.",
        "required": True,
        "schema": {"type": "string", "examples": ['"3"']},
    },
    "Set-Cookie": {
        "description": "What a browser shows at its next sign-in. No script can read it; it signs nobody in.",
        "required": True,
        "schema": {"type": "string", "examples": ["mnbara_device=…; Path=/v1/auth; HttpOnly; SameSite=Lax"]},
    },
    "Content-Disposition": {
        "description": "The name of the file, when the answer is one.",
        "schema": {"type": "string", "examples": ['attachment; filename="statement.csv"']},
    },
    "Idempotent-Replay": {
        "description": "This is the first answer of the key again; nothing happened this time.",
        "schema": {"type": "string", "const": "true"},
    },
    "Location": {
        "description": "Where to read what was made.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference", "examples": [f"/v1/listings/{ID}"]},
    },
    "Deprecation": {
        "description": "Since when this operation is deprecated. Source: RFC 9745.",
        "required": True,
        "schema": {"type": "string", "examples": ["@1798761600"]},
    },
    "Sunset": {
        "description": "When it may be gone. Source: RFC 8594.",
        "required": True,
        "schema": {"type": "string", "examples": ["Fri, 01 Jan 2027 00:00:00 GMT"]},
    },
    "Link": {
        "description": "What to call instead (`successor-version`), where to read about it (`deprecation`).",
        "required": True,
        "schema": {"type": "string", "examples": ['</v2/trips>; rel="successor-version"']},
    },
    "Retry-After": {
        "description": "Seconds to wait.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9]+$", "examples": ["2"]},
    },
    "WWW-Authenticate": {
        "description": "How to sign in. Source: RFC 6750.",
        "required": True,
        "schema": {"type": "string", "examples": ['Bearer realm="mnbara", error="invalid_token"']},
    },
}
"""Headers of answers by name."""


def describe(route: Route) -> str:
    """Return what a route promises, who may call it, what that takes, and until when it is there."""
    text = f"{promise(route)} Permission: {route.permission.value}. {budget(route)}".lstrip()
    if route.deprecated is not None:
        text += f" Deprecated: call {route.deprecated.successor} by {route.deprecated.sunset}."
    return text


def refusals_of(route: Route) -> list[type[Refusal]]:
    """Return everything a route may refuse with, its own and the general ones, each once."""
    found: list[type[Refusal]] = [*route.refusals, *GENERAL_REFUSALS]
    if reads_token(route):
        found.append(Unauthenticated)
    if route.permission in {Permission.SUPPORT, Permission.FINANCE, Permission.ADMIN}:
        found.append(NotAllowed)
    if reads_query(route):
        found.append(UriTooLong)
    else:
        found += [PayloadTooLarge, RequestTimeout, UnsupportedMediaType]
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
    names = ["X-Request-Id"]
    if kinds[0].status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        names.append("Retry-After")
    if kinds[0].status == HTTPStatus.UNAUTHORIZED:
        names.append("WWW-Authenticate")
    headers = header_refs(*names)
    if "Retry-After" in headers and not all(kind.temporary for kind in kinds):  # nobody knows when it is over
        headers["Retry-After"] = {**HEADERS["Retry-After"], "required": False}
    examples = {kind.code: {"$ref": f"#/components/examples/{kind.code}"} for kind in kinds if not kind.text}
    content: Schema = {}
    if examples:
        problem = {"$ref": "#/components/schemas/Problem"}
        content["application/problem+json"] = {"schema": problem, "examples": examples}
    for kind in kinds:
        if kind.text:
            media_type, fact = kind.text
            content[media_type] = {"schema": {"type": "string"}, "example": f"{kind.example[fact]}\n"}
    return {
        "description": " · ".join(f"`{kind.code}`: {title_of(kind)}" for kind in kinds),
        "headers": headers,
        "content": content,
    }


def header_refs(*names: str) -> Schema:
    """Return the header objects of an answer."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def problem_examples() -> Schema:
    """Return an example per code word of the catalogue."""
    return {
        kind.code: {"summary": title_of(kind), "value": problem_example(kind)} for kind in CATALOGUE.values()
    }
