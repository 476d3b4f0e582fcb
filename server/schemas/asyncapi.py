"""The realtime interface as an AsyncAPI 3.0 document: channels and their events, RPCs as request and reply.

All of it comes from the domains' values: channel kinds with their events, personal events, routes. Actions are the
server's: it sends events and receives RPCs.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from handlers.contract import Route
from handlers.domain import ChannelKind, Domain
from protocols.channels import REPORT_OFFSET, OffsetReported, ReportOffset
from protocols.errors import RateLimited
from server.commands.errors_out import rpc_error
from server.commands.table import OR_REFUSAL
from server.schemas.components import Components, Schema
from server.schemas.example_values import instant
from server.schemas.examples import Examples
from server.schemas.openapi import VERSION
from server.schemas.problems import describe, refusals_of
from server.schemas.texts import summary

_SOCKET = "/connection/websocket"


def build_asyncapi(domains: Sequence[Domain], url: str) -> Schema:
    """Return the document of what the domains declare."""
    calls = [route for domain in domains for route in domain.routes if route.rpc]
    types = (
        [r.command for r in calls]
        + [r.reply for r in calls if r.reply is not None]
        + [ReportOffset, OffsetReported]
        + structs_of(domains)
    )
    document = _Document(Components(types))
    by_name = sorted(domains, key=lambda domain: domain.name)
    personal = {word: kind for domain in by_name for word, kind in domain.personal_events.items()}
    for channel in (kind for domain in domains for kind in domain.channels):
        document.add_channel(channel, personal if channel.owner_only else channel.events)
    document.add_calls(calls)
    parts = urlsplit(url)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Mnbara realtime",
            "version": VERSION,
            "description": "Centrifuge client protocol v2, JSON or Protobuf; the official SDKs connect as they are.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "websocket": {
                "host": parts.netloc,
                "pathname": _SOCKET,
                "protocol": "wss" if parts.scheme == "https" else "ws",
                "security": [{"$ref": "#/components/securitySchemes/token"}],
            }
        },
        "channels": document.channels,
        "operations": document.operations,
        "components": {
            "schemas": document.components.named,
            "messages": document.messages,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Sent as `connect.token`; without one the connection is anonymous.",
                }
            },
        },
    }


def structs_of(domains: Sequence[Domain]) -> list[type[Struct]]:
    """Return every struct that the domains' channels and streams carry."""
    found: list[type[Struct]] = []
    for domain in domains:
        for kind in domain.channels:
            found += kind.events.values()
            if kind.value is not None:
                found.append(kind.value)
        found += [*domain.stream_events.values(), *domain.personal_events.values()]
    return found


class _Document:
    """Channels, operations and messages, as they are collected."""

    def __init__(self, components: Components) -> None:
        self.components = components
        self._examples = Examples(components)
        self.channels: Schema = {}
        self.operations: Schema = {}
        self.messages: Schema = {}

    def add_channel(self, channel: ChannelKind, events: Mapping[str, type[Struct]]) -> None:
        """Describe a channel and the server's sending on it."""
        if channel.value is None:
            how = "Replayed: every event, numbered, recoverable."
            names = [self._add_event(word, kind) for word, kind in events.items()]
        else:
            how = "Latest: the newest value."
            names = [self._add_answer(channel.word, channel.value)]
        if not names:
            return
        self._open(channel.word, channel.address, f"{how} Readers: {channel.readers}.", names)
        if parameter := channel.parameter:
            self.channels[channel.word]["parameters"] = {parameter: {"description": f"The {parameter}."}}
        self.operations[f"publish_{channel.word}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{channel.word}"},
            "messages": _refs(channel.word, names),
        }

    def add_calls(self, routes: Sequence[Route]) -> None:
        """Describe every RPC as an operation with a reply."""
        refusal = {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "temporary": {"type": "boolean"},
            },
        }
        error = rpc_error(RateLimited(**RateLimited.example))
        example = {"code": error.code, "message": error.message, "temporary": error.temporary}
        names = [self._add_message("refusal", refusal, example)]
        for route in routes:
            names.append(self._add_request(route))
            if route.reply is None:
                names.append(self._add_message(f"{route.name}.reply", {"type": "null"}, None))
            else:
                names.append(self._add_answer(f"{route.name}.reply", route.reply))
        names.append(self._add_answer(f"{REPORT_OFFSET}.request", ReportOffset))
        names.append(self._add_answer(f"{REPORT_OFFSET}.reply", OffsetReported))
        self._open("rpc", None, "RPC commands of a connection and their replies.", names)
        for route in routes:
            self.operations[route.name] = _call(route)
        note = "Served by the connection itself, so there is no REST route. Errors: 103, 107, 111."
        self.operations[REPORT_OFFSET] = _operation(REPORT_OFFSET, summary(ReportOffset), note)

    def _open(self, name: str, address: str | None, text: str, messages: Sequence[str]) -> None:
        self.channels[name] = {
            "address": address,
            "description": text,
            "messages": {message: {"$ref": f"#/components/messages/{message}"} for message in messages},
        }

    def _add_event(self, word: str, kind: type[Struct]) -> str:
        head = {
            "type": "object",
            "required": ["type", "at"],
            "properties": {
                "type": {"type": "string", "const": word},
                "at": {"type": "string", "format": "date-time"},
            },
        }
        schema = self.components.schema(kind)
        example = {"type": word, "at": instant("at", word), **self._examples.answer(schema)}
        return self._add_message(word, {"allOf": [head, schema]}, example)

    def _add_request(self, route: Route) -> str:
        schema = self.components.schema(route.command)
        fields = self.components.resolve(schema)
        example = self._examples.body(fields)
        if route.key == "required":
            example["key"] = self._examples.field("key", fields["properties"]["key"])
        return self._add_message(f"{route.name}.request", schema, example)

    def _add_answer(self, name: str, kind: Any) -> str:  # noqa: ANN401 - any type
        schema = self.components.schema(kind)
        return self._add_message(name, schema, self._examples.answer(schema))

    def _add_message(self, name: str, payload: Schema, example: Any) -> str:  # noqa: ANN401 - any JSON value
        self.messages[name] = {"name": name, "payload": payload}
        if isinstance(example, dict):  # the specification allows no other examples
            self.messages[name]["examples"] = [{"payload": example}]
        return name


def _refs(channel: str, messages: Sequence[str]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages]


def _call(route: Route) -> Schema:
    refusals = ", ".join(f"{kind.number} {kind.code}" for kind in refusals_of(route))
    note = (
        f"RPC `{route.name}`. {describe(route)} Refusals: {refusals}. "
        f'RPC `{route.name}{OR_REFUSAL}` answers them as `{{"refusal": …}}`.'
    )
    return _operation(route.name, summary(route.command), note)


def _operation(name: str, text: str, description: str) -> Schema:
    return {
        "action": "receive",
        "summary": text,
        "description": description,
        "channel": {"$ref": "#/channels/rpc"},
        "messages": _refs("rpc", [f"{name}.request"]),
        "reply": {
            "channel": {"$ref": "#/channels/rpc"},
            "messages": _refs("rpc", [f"{name}.reply", "refusal"]),
        },
    }
