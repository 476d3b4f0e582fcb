"""`./mnbara types`: every route, RPC, event and code word is in it, nothing in it is undeclared, commands stay open."""

import re

import pytest

from protocols.errors import CATALOGUE
from server.cli.__main__ import main
from server.domains import DOMAINS, ROUTES
from server.schemas.asyncapi import build_asyncapi
from server.schemas.openapi import build_openapi
from server.schemas.typescript import build_types

BUILT_IN = {"Record", "Blob"}


@pytest.fixture(scope="module")
def types():
    return build_types(DOMAINS)


def body(types, name):
    """The lines of an interface."""
    return re.search(rf"^export interface {name} {{\n(.*?)^}}", types, re.MULTILINE | re.DOTALL)[1]


def called(types, domain, kind):
    """The name of a type; what two domains call alike is called after its domain."""
    own = kind.__name__
    return own if f"\nexport interface {own} " in types else f"{domain.capitalize()}{own}"


def test_every_operation_of_the_document_is_named_with_its_method_and_path(types):
    operations = body(types, "Operations")
    document = build_openapi(ROUTES, "http://x")
    found = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            found += 1
            line = f'"{operation["operationId"]}": {{ method: "{method.upper()}"; path: "{path}"; '
            assert line in operations
    assert operations.count("\n") == found > len(ROUTES)


def test_every_rpc_is_named_with_its_command_and_answer(types):
    methods = body(types, "RpcMethods")
    for route in ROUTES:
        reply = "null" if route.reply is None else called(types, route.domain, route.reply)
        command = called(types, route.domain, route.command)
        line = f'"{route.name}": {{ params: {command}; result: {reply} }};'
        assert (line in methods) == route.rpc
    assert methods.count("\n") == sum(route.rpc for route in ROUTES) + 1
    assert '"realtime.report_offset": { params: ReportOffset; result: OffsetReported };' in methods


def test_every_event_of_every_channel_is_named(types):
    channels = body(types, "Channels")
    document = build_asyncapi(DOMAINS, "http://x")
    for word, channel in document["channels"].items():
        if word != "rpc":
            carried = re.search(rf'^  "{word}":(.*?);$', channels, re.MULTILINE | re.DOTALL)[1]
            events = set(re.findall(r'Event<"(\w+)", \w+>', carried))
            assert events == (set(channel["messages"]) - {word} if events else set())
            assert carried.strip()
    assert 'Event<"bid_placed", BidPlaced>' in channels
    assert '"ticker": Ticker;' in channels


def test_every_code_word_is_named_with_the_facts_it_carries(types):
    codes = re.search(r"export type RefusalCode =\n(.*?);", types, re.DOTALL)[1]
    assert re.findall(r'"(\w+)"', codes) == list(CATALOGUE)
    facts = body(types, "RefusalFacts")
    for code, kind in CATALOGUE.items():
        line = next(line for line in facts.splitlines() if line.startswith(f'  "{code}": '))
        assert all(f"{name}?: " in line for name in kind.example if name != "errors")
    assert '"bid_too_low": { minimum_bid?: number };' in facts


def test_every_type_is_declared_once_and_every_name_is_declared(types):
    declared = re.findall(r"^export (?:interface|type) (\w+)", types, re.MULTILINE)
    assert len(declared) == len(set(declared)) > 150
    text = re.sub(r"/\*\*.*?\*/|//[^\n]*|\"[^\"]*\"", "", types, flags=re.DOTALL)
    parameters = set(re.findall(r"<(\w+)(?:, (\w+))? extends|\[(\w+) in", text))
    generic = {name for names in parameters for name in names} | {"Words", "Word", "Facts", "Method", "Code"}
    used = set(re.findall(r"\b[A-Z]\w+\b", text))
    assert used - set(declared) - generic - BUILT_IN == set()


def test_words_of_commands_are_open_and_those_of_answers_are_not(types):
    assert re.search(r'^  format: Open<"dutch" \| ', body(types, "OpenAuction"), re.MULTILINE)
    assert re.search(r'^  format: "dutch" \| ', body(types, "Auction"), re.MULTILINE)


def test_a_key_that_is_required_is_no_choice_and_any_other_is(types):
    keys = {
        called(types, route.domain, route.command): route.key
        for route in ROUTES
        if "key" in route.command.__struct_fields__
    }
    assert {"required"} < set(keys.values()) or len(set(keys.values())) > 1
    for command, key in keys.items():
        assert f"\n  key{'' if key == 'required' else '?'}: string" in "\n" + body(types, command), command


def test_a_comment_ends_where_it_should(types):
    outside = re.sub(r"/\*\*.*?\*/", "", types, flags=re.DOTALL)
    assert "*/" not in outside
    assert "/**" not in outside


def test_the_verb_prints_the_types(types, capsys):
    assert main(["types"]) == 0
    assert capsys.readouterr().out == types
