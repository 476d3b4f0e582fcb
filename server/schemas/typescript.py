"""The public interface as TypeScript: a type for each struct on the wire, maps of calls and channels, refusals.

Made from the JSON Schemas of both documents. What a command may hold is left open where a schema only bounds it: the
server judges, and a later one may take more. So words of commands are offered, and any other string is accepted.
Cost: linear in the schemas; every named type is written once.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from handlers.contract import Route
from handlers.domain import ChannelKind, Domain
from protocols.channels import REPORT_OFFSET, OffsetReported, PollChannel, ReportOffset
from protocols.errors import CATALOGUE
from server.schemas.asyncapi import structs_of
from server.schemas.components import PREFIX, Components, Schema
from server.schemas.examples import Examples
from server.schemas.openapi import VERSION
from server.schemas.own_pages import OWN_TYPES, own_paths

_HEAD = """\
// The interface of Mnbara {version}. Written by `./mnbara types`; do not edit.

/** A UUID as text; the server's own are of version 7. */
export type Uuid = string;
/** An instant: RFC 3339, UTC, milliseconds. */
export type Instant = string;
/** Words of a command that this version knows; the server judges any other one. */
export type Open<Words extends string> = Words | (string & {{}});
/** An event as it stands in a channel. */
export type Event<Word extends string, Facts> = {{ type: Word; at: Instant }} & Facts;
"""

_TAIL = """\
export type OperationId = keyof Operations;
export type RpcMethod = keyof RpcMethods;
/** What the RPC `<method>.or_refusal` answers. */
export type OrRefusal<Method extends RpcMethod> =
  (RpcMethods[Method]["result"] & { refusal?: undefined }) | { refusal: Problem };
/** A refusal, as a problem document over REST and as `refusal` over RPC; facts are members beside the others. */
export type Problem = { [Code in RefusalCode]: ProblemOf<Code> }[RefusalCode];
export type ProblemOf<Code extends RefusalCode> = {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: Code;
  number: number;
  temporary?: boolean;
  trace_id?: string;
  errors?: { pointer: string; detail: string }[];
} & RefusalFacts[Code];
"""


def build_types(domains: Sequence[Domain]) -> str:
    """Return the text of `mnbara.d.ts` for what the domains declare."""
    routes = [route for domain in domains for route in domain.routes]
    commands: list[Any] = [route.command for route in routes] + [ReportOffset, PollChannel]
    answers: list[Any] = [route.reply for route in routes if route.reply is not None] + [OffsetReported]
    writer = _Writer(Components([*commands, *answers, *structs_of(domains), *OWN_TYPES]), commands)
    writer.require_keys(route for route in routes if route.key == "required")
    parts = [
        _HEAD.format(version=VERSION),
        *writer.named(),
        writer.operations(routes),
        writer.rpc_methods(routes),
        writer.channels(domains),
        _refusals(),
        _TAIL,
    ]
    return "\n".join(parts)


class _Writer:
    """Schemas as TypeScript."""

    def __init__(self, components: Components, commands: Iterable[Any]) -> None:
        self._components = components
        self._open = _reachable(components, commands)

    def require_keys(self, routes: Iterable[Route]) -> None:
        """Have the commands say that they need a key: their types let it out, so that its lack can be refused."""
        for route in routes:
            schema = self._components.resolve(self._components.schema(route.command))
            schema["required"] = [*schema.get("required", ()), "key"]

    def named(self) -> Iterator[str]:
        """Return a declaration for each named schema."""
        for name, schema in self._components.named.items():
            text = self._type(schema, is_open=name in self._open)
            comment = _comment(schema.get("description", ""))
            if schema.get("type") == "object" and "properties" in schema:
                yield f"{comment}export interface {name} {text}\n"
            else:
                yield f"{comment}export type {name} = {text};\n"

    def operations(self, routes: Sequence[Route]) -> str:
        """Return REST: by operation its method, path, command and answer."""
        lines = [self._operation(route) for route in routes]
        own = own_paths(self._components, Examples(self._components))
        lines += [
            self._own(path, method, operation)
            for path, item in own.items()
            for method, operation in item.items()
        ]
        return _interface(
            "REST, by operationId. A command's members go into path, query, headers or body.",
            "Operations",
            lines,
        )

    def _operation(self, route: Route) -> str:
        answer = "null" if route.reply is None else self._of(route.reply)
        return _operation(route.name, route.method, route.path, self._of(route.command), answer)

    def _own(self, path: str, method: str, operation: Schema) -> str:
        """Return an operation that is no command: its parameters, and the JSON or the file that it answers."""
        members = [
            f"{_quoted(given['name'])}{'' if given['required'] else '?'}: "
            + self._type(given["schema"], is_open=True)
            for given in operation.get("parameters", ())
        ]
        content = operation["responses"]["200"].get("content", {})
        answer = "Blob"
        if "application/json" in content:
            answer = self._type(content["application/json"]["schema"], is_open=False)
        command = f"{{ {'; '.join(members)} }}" if members else "null"
        return _operation(operation["operationId"], method.upper(), path, command, answer)

    def rpc_methods(self, routes: Sequence[Route]) -> str:
        """Return RPC: by method its parameters and its result."""
        lines = [self._rpc(route.name, route.command, route.reply) for route in routes if route.rpc]
        lines.append(self._rpc(REPORT_OFFSET, ReportOffset, OffsetReported))
        return _interface("RPC, by method.", "RpcMethods", lines)

    def _rpc(self, name: str, command: Any, reply: Any) -> str:  # noqa: ANN401
        result = "null" if reply is None else self._of(reply)
        return f"{_quoted(name)}: {{ params: {self._of(command)}; result: {result} }}"

    def channels(self, domains: Sequence[Domain]) -> str:
        """Return what each kind of channel carries, as a union of its events or the type of its newest value."""
        personal = {word: kind for domain in domains for word, kind in domain.personal_events.items()}
        kinds = {kind.word: kind for domain in domains for kind in domain.channels}
        lines = [f"{_quoted(word)}:{self._carried(kind, personal)}" for word, kind in sorted(kinds.items())]
        return _interface("What the publications of a channel hold, by its kind.", "Channels", lines)

    def _carried(self, channel: ChannelKind, personal: Mapping[str, type[Struct]]) -> str:
        if channel.value is not None:
            return f" {self._of(channel.value)}"
        events = personal if channel.owner_only else channel.events
        found = [f"Event<{_quoted(word)}, {self._of(kind)}>" for word, kind in sorted(events.items())]
        return "".join(f"\n    | {event}" for event in found) or " never"

    def _of(self, kind: Any) -> str:  # noqa: ANN401 - any type
        return self._type(self._components.schema(kind), is_open=False)

    def _type(self, schema: Schema, *, is_open: bool) -> str:
        if "$ref" in schema:
            return str(schema["$ref"].removeprefix(PREFIX))
        if "anyOf" in schema:
            return " | ".join(
                dict.fromkeys(self._type(option, is_open=is_open) for option in schema["anyOf"])
            )
        if "const" in schema:
            return json.dumps(schema["const"])
        if "enum" in schema:
            words = " | ".join(json.dumps(word) for word in schema["enum"])
            return f"Open<{words}>" if is_open and isinstance(schema["enum"][0], str) else words
        return self._by_kind(schema, is_open=is_open)

    def _by_kind(self, schema: Schema, *, is_open: bool) -> str:
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema, is_open=is_open)
        if kind == "array":
            if "prefixItems" in schema:
                return f"[{', '.join(self._type(inner, is_open=is_open) for inner in schema['prefixItems'])}]"
            inner = self._type(schema.get("items", {}), is_open=is_open)
            return f"({inner})[]" if " " in inner else f"{inner}[]"
        if kind == "string":
            return {"uuid": "Uuid", "date-time": "Instant"}.get(schema.get("format", ""), "string")
        return {"integer": "number", "number": "number", "boolean": "boolean", "null": "null"}.get(
            str(kind), "unknown"
        )

    def _object(self, schema: Schema, *, is_open: bool) -> str:
        if "properties" not in schema:
            values = schema.get("additionalProperties", {})
            inner = self._type(values, is_open=is_open) if isinstance(values, dict) else "unknown"
            return f"Record<string, {inner}>"
        required = schema.get("required", ())
        lines = []
        for name, inner in schema["properties"].items():
            lines.append(_comment(inner.get("description", ""), "  ") + "  ")
            lines[-1] += f"{name}{'' if name in required else '?'}: {self._type(inner, is_open=is_open)};"
        return "{\n" + "\n".join(lines) + "\n}" if lines else "{}"


def _reachable(components: Components, kinds: Iterable[Any]) -> set[str]:
    """Return the names of all schemas that the types hold, their own among them."""
    found: set[str] = set()
    left: list[Any] = [components.schema(kind) for kind in kinds]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            name = str(value.get("$ref", "")).removeprefix(PREFIX)
            if name and name not in found:
                found.add(name)
                left.append(components.named[name])
            left += [inner for inner in value.values() if isinstance(inner, dict | list)]
    return found


def _refusals() -> str:
    codes = "\n".join(f"  | {_quoted(code)}" for code in CATALOGUE)
    lines = [f"{_quoted(code)}: {_facts(kind.example)}" for code, kind in CATALOGUE.items()]
    facts = _interface("What a refusal tells beside its words; see `GET /v1/errors`.", "RefusalFacts", lines)
    return f"/** Every code word of the catalogue. */\nexport type RefusalCode =\n{codes};\n\n{facts}"


def _facts(example: Mapping[str, Any]) -> str:
    members = [f"{name}?: {_shown(value)}" for name, value in example.items() if name != "errors"]
    return f"{{ {'; '.join(members)} }}" if members else "{}"


def _shown(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return the type of a value that an example shows."""
    if isinstance(value, list):
        return f"({_shown(value[0])})[]" if value else "unknown[]"
    if isinstance(value, dict):
        return f"{{ {'; '.join(f'{name}: {_shown(inner)}' for name, inner in value.items())} }}"
    if isinstance(value, bool):
        return "boolean"
    return {str: "string", int: "number", float: "number"}.get(type(value), "unknown")


def _operation(name: str, method: str, path: str, command: str, answer: str) -> str:
    how = f"method: {_quoted(method)}; path: {_quoted(path)}"
    return f"{_quoted(name)}: {{ {how}; command: {command}; answer: {answer} }}"


def _interface(text: str, name: str, lines: Iterable[str]) -> str:
    return f"/** {text} */\nexport interface {name} {{\n" + "".join(f"  {line};\n" for line in lines) + "}\n"


def _comment(text: str, indent: str = "") -> str:
    whole = text.replace("*/", "* /")  # an end inside would end the comment
    return f"{indent}/** {whole} */\n" if text else ""


def _quoted(text: str) -> str:
    return json.dumps(text)
