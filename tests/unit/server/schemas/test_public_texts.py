"""The texts of both documents are for clients: nothing in them needs this repository to be understood."""

import re

import msgspec
import pytest

from protocols.errors import CATALOGUE
from protocols.values import to_json
from server.domains import DOMAINS, ROUTES
from server.schemas.asyncapi import build_asyncapi
from server.schemas.components import Components
from server.schemas.openapi import build_openapi

_CLASSES = [kind.__name__ for kind in CATALOGUE.values() if len(re.findall("[A-Z]", kind.__name__)) > 1]
INTERNALS = {
    "a list of exceptions": r"\bRaises\b",
    "a constant": r"\b[A-Z][A-Z0-9]+(_[A-Z0-9]+)+\b",
    "a file": r"\w\.(py|sql)\b|`[a-z_]+/[a-z_/]*`",
    "a module": r"\b(storage|handlers|protocols)\.[a-z_]+\b",
    "an engine": r"\b(Redis|NATS|PostgreSQL|SQL|Lua|msgspec|asyncpg)\b",
    "what it costs the server": r"\bCost:|\bround trips?\b",
    "a value of Python": r"(?<![-\w])(None|True|False)(?![-\w])",
    "another markup": r"``|:(class|func|meth):",
    "a class of a refusal": rf"\b({'|'.join(_CLASSES)})\b",
    "the indentation of a docstring": r"\n {2,}",
}


@pytest.fixture(scope="module")
def documents():
    made = {"openapi": build_openapi(ROUTES, "http://x"), "asyncapi": build_asyncapi(DOMAINS, "http://x")}
    return {name: msgspec.json.decode(to_json(document)) for name, document in made.items()}


def strings(value, place):
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from strings(inner, f"{place}/{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from strings(inner, f"{place}/{index}")


def internals(text):
    return [what for what, pattern in INTERNALS.items() if re.search(pattern, text)]


def test_no_text_of_the_documents_tells_internals(documents):
    texts = [found for name, document in documents.items() for found in strings(document, name)]
    assert len(texts) > 10_000
    told = [f"{what}: {place}: {text}" for place, text in texts for what in internals(text)]
    assert told == [], "\n".join(told)


@pytest.mark.parametrize(
    "text",
    [
        "Return a page. Raises InvalidInput.",
        "Never more than `SESSIONS_MAX`.",
        "See handlers/rules.py.",
        "Judged in `handlers/auctions/`.",
        "As storage.bids has it.",
        "Held in Redis.",
        "The newest. Cost: one query.",
        "It takes two round trips.",
        "`winner` is None unless it is sold.",
        "Give ``amount``.",
        "Else it is BidderNotFound.",
        "A picture.\n\n    JPEG or PNG.",
    ],
)
def test_internals_are_found(text):
    assert internals(text)


@pytest.mark.parametrize(
    "text",
    [
        "`bid_too_low`: see `minimum_bid`.",
        "Source: RFC 9457.",
        "`GET /v1/errors`",
        "A JWT of Ed25519.\n\nWhole.",
    ],
)
def test_plain_texts_pass(text):
    assert internals(text) == []


def test_every_operation_says_what_its_command_says(documents):
    """A command's docstring is written for who sends it; the function's for who changes it."""
    summaries = {
        operation["operationId"]: operation["summary"]
        for item in documents["openapi"]["paths"].values()
        for operation in item.values()
    }
    for route in ROUTES:
        first = route.command.__doc__.strip().splitlines()[0]
        assert summaries[route.name] == first
        if route.rpc:
            assert documents["asyncapi"]["operations"][route.name]["summary"] == first


def test_types_that_two_domains_call_alike_are_called_after_their_domains():
    alike = [
        msgspec.defstruct("Entry", [("at", int)], module=f"protocols.{domain}.commands")
        for domain in ("payments", "known_things")
    ]
    pair = msgspec.defstruct("Pair", [("one", alike[0]), ("other", list[alike[1]])], module="protocols.pairs")
    made = Components([pair])
    assert set(made.named) == {"PaymentsEntry", "KnownThingsEntry", "Pair"}
    shown = made.resolve(made.schema(pair))["properties"]
    assert shown["one"] == {"$ref": "#/components/schemas/PaymentsEntry"}
    assert shown["other"]["items"] == {"$ref": "#/components/schemas/KnownThingsEntry"}
