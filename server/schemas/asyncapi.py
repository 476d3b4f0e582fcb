"""The realtime interface as an AsyncAPI 3.0 document: channels and their events, RPCs as request and reply.

Events come from the domains' vocabularies: `protocols/<domain>/commands.py` lists `EVENTS` (type -> struct) of the
domain's own channel, `PERSONAL_EVENTS` of the personal channel, and `LATEST` (by a latest channel's first word).
Actions are the server's: it sends events and receives RPCs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from handlers.contract import Route
from protocols.channels import REPORT_OFFSET, OffsetReported, ReportOffset
from protocols.errors import RateLimited
from server.commands.errors_out import rpc_error
from server.schemas.components import Components, Schema
from server.schemas.examples import Examples
from server.schemas.openapi import VERSION
from server.schemas.problems import describe, refusals_of

Words = Mapping[str, Mapping[str, type[Struct]]]
"""Structs by word, by domain."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What channels carry, by domain."""

    events: Words
    personal_events: Words
    latest: Words

    def structs(self) -> list[type[Struct]]:
        """Return every struct."""
        tables = (self.events, self.personal_events, self.latest)
        return [kind for table in tables for words in table.values() for kind in words.values()]


@dataclass(frozen=True, slots=True)
class Channel:
    """One kind of channel. Source: INTERFACE section 2."""

    kind: str
    address: str
    readers: str
    replayed: bool
    domain: str = ""
    """Whose events it carries; empty for personal channels, which carry some of every domain."""


CHANNELS = (
    Channel("auctions", "auctions:{auction_id}", "anyone", True, "auctions"),
    Channel("ticker", "ticker:{auction_id}", "anyone", False, "auctions"),
    Channel("stock", "stock:{listing_id}", "anyone, once it was published", False, "listings"),
    Channel("personal", "personal:#{user_id}", "that user", True),
    Channel(
        "orders", "orders:{order_id}", "buyer, seller and traveller of the order, support", True, "orders"
    ),
    Channel("trips", "trips:{trip_id}", "the traveller, parties of orders on the trip", False, "trips"),
    Channel("cells", "cells:{h3_index}", "any signed-in user", False, "trips"),
)

_SOCKET = "/connection/websocket"


def build_asyncapi(routes: Sequence[Route], url: str, vocabulary: Vocabulary | None = None) -> Schema:
    """Return the document; the vocabulary is read from the routes' domains unless given."""
    vocabulary = vocabulary or read_vocabulary(sorted({route.domain for route in routes}))
    calls = [route for route in routes if route.rpc]
    types = (
        [r.command for r in calls]
        + [r.reply for r in calls if r.reply is not None]
        + [ReportOffset, OffsetReported]
        + vocabulary.structs()
    )
    document = _Document(Components(types))
    for channel in CHANNELS:
        document.add_channel(channel, vocabulary)
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


def read_vocabulary(domains: Sequence[str]) -> Vocabulary:
    """Return what `protocols.<domain>.commands` lists, for each of the domains that has such a module."""
    modules = {
        domain: import_module(f"protocols.{domain}.commands")
        for domain in domains
        if find_spec(f"protocols.{domain}") is not None
    }
    tables = ("EVENTS", "PERSONAL_EVENTS", "LATEST")
    return Vocabulary(
        *({domain: dict(getattr(module, name, {})) for domain, module in modules.items()} for name in tables)
    )


class _Document:
    """Channels, operations and messages, as they are collected."""

    def __init__(self, components: Components) -> None:
        self.components = components
        self._examples = Examples(components)
        self.channels: Schema = {}
        self.operations: Schema = {}
        self.messages: Schema = {}

    def add_channel(self, channel: Channel, vocabulary: Vocabulary) -> None:
        """Describe a channel and the server's sending on it; one without messages is not built yet."""
        if channel.replayed:
            names = [self._add_event(word, kind) for word, kind in _events_of(channel, vocabulary)]
        else:
            kind = vocabulary.latest.get(channel.domain, {}).get(channel.kind)
            names = [] if kind is None else [self._add_answer(channel.kind, kind)]
        if not names:
            return
        how = (
            "Replayed: every event, numbered, recoverable."
            if channel.replayed
            else "Latest: the newest value."
        )
        parameter = channel.address.split("{")[1].rstrip("}")
        self._open(channel.kind, channel.address, f"{how} Readers: {channel.readers}.", names)
        self.channels[channel.kind]["parameters"] = {parameter: {"description": f"The {parameter}."}}
        self.operations[f"publish_{channel.kind}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{channel.kind}"},
            "messages": _refs(channel.kind, names),
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
        summary = (ReportOffset.__doc__ or "").splitlines()[0]
        note = "Served by the connection itself, so there is no REST route. Errors: 103, 107, 111."
        self.operations[REPORT_OFFSET] = _operation(REPORT_OFFSET, summary, note)

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
        example = {**self._examples.answer(head), **self._examples.answer(schema)}
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


def _events_of(channel: Channel, vocabulary: Vocabulary) -> list[tuple[str, type[Struct]]]:
    """Return the events of a replayed channel, in the order their domains list them."""
    if not channel.domain:
        return [pair for words in vocabulary.personal_events.values() for pair in words.items()]
    return list(vocabulary.events.get(channel.domain, {}).items())


def _refs(channel: str, messages: Sequence[str]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages]


def _call(route: Route) -> Schema:
    doc = (route.function.__doc__ or route.name).strip().splitlines()[0]
    refusals = ", ".join(f"{kind.number} {kind.code}" for kind in refusals_of(route))
    note = f"RPC `{route.name}`. {describe(route)} Refusals: {refusals}."
    return _operation(route.name, doc, note)


def _operation(name: str, summary: str, description: str) -> Schema:
    return {
        "action": "receive",
        "summary": summary,
        "description": description,
        "channel": {"$ref": "#/channels/rpc"},
        "messages": _refs("rpc", [f"{name}.request"]),
        "reply": {
            "channel": {"$ref": "#/channels/rpc"},
            "messages": _refs("rpc", [f"{name}.reply", "refusal"]),
        },
    }
