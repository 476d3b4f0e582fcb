"""Examples look like what a running server sends: whole, decodable, consistent, and no placeholder among them."""

import re
from datetime import UTC, datetime
from uuid import UUID

import jsonschema
import msgspec
import pytest

from protocols.values import to_json
from server.domains import DOMAINS, ROUTES
from server.schemas.asyncapi import build_asyncapi
from server.schemas.openapi import build_openapi

HINT = "give the field a value in server/schemas/example_values.py, or an example in its type"
MONEY = re.compile(r"(^|_)(price|amount|bid|your_maximum)$|^(reached|used|free)$")
WORDS = {"string", "text", "example", "foo", "bar", "lorem", "todo", "xxx"}
OF_CLIENTS = {"key", "client", "Idempotency-Key"}
"""Fields whose UUIDs are not of the server's making."""
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT")
STORY = (datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def openapi():
    return msgspec.json.decode(to_json(build_openapi(ROUTES, "http://x")))


@pytest.fixture(scope="module")
def asyncapi():
    return msgspec.json.decode(to_json(build_asyncapi(DOMAINS, "http://x")))


def values(value, name=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from values(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from values(inner, name)
    else:
        yield name, value


def is_real_id(text):
    found = UUID(text)
    return found.version == 7 and (found.int & (1 << 62) - 1).bit_count() > 10


def placeholder(name, value):
    """What is wrong with a value of an example; empty when it could come from a running server."""
    if isinstance(value, str):
        if value.casefold() in WORDS or re.fullmatch(r"([a-zA-Z])\1{2,}", value):
            return "a word that stands for another one"
        if re.search(r"0{4}-?0{4}|(.)\1{7,}", value):
            return "an id of zeros"
        if re.fullmatch(r"[0-9a-f-]{36}", value) and name not in OF_CLIENTS:
            return "" if is_real_id(value) else "not a UUIDv7"
        if INSTANT.match(value):
            return (
                "" if STORY[0] < datetime.fromisoformat(value) < STORY[1] else "an instant out of the story"
            )
    if isinstance(value, int) and not isinstance(value, bool) and MONEY.search(name):
        return "" if 100 <= abs(value) <= 10_000_000 else "an implausible amount"
    return ""


def placeholders(example):
    return [(name, value, why) for name, value in values(example) if (why := placeholder(name, value))]


def examples_of(openapi):
    for item in openapi["paths"].values():
        for operation in item.values():
            where = operation["operationId"]
            yield from (
                (where, {parameter["name"]: parameter["example"]})
                for parameter in operation.get("parameters", ())
            )
            for content in (operation.get("requestBody", {}), *operation["responses"].values()):
                media = content.get("content", {}).get("application/json", {})
                yield from ((where, media["example"]) for _ in [0] if "example" in media)
    for code, example in openapi["components"]["examples"].items():
        yield code, example["value"]


def test_no_message_shows_a_placeholder(asyncapi):
    messages = asyncapi["components"]["messages"]
    assert len(messages) > 100
    for name, message in messages.items():
        for example in message.get("examples", ()):
            assert placeholders(example["payload"]) == [], f"{name}: {HINT}"


def test_no_operation_shows_a_placeholder(openapi):
    shown = list(examples_of(openapi))
    assert len(shown) > 200
    assert [(where, found) for where, example in shown if (found := placeholders(example))] == [], HINT


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("title", "text"),
        ("title", "string"),
        ("label", "aaaa"),
        ("auction_id", "00000000-0000-0000-0000-000000000000"),
        ("auction_id", "019ab3c0-7a00-7000-8000-000000000001"),
        ("channel", "auctions:019ab3c0-0000-7000-8000-000000000000"),
        ("bid_id", "5d2f4c1e-8a0b-4f6e-9c37-2b1a6e0d9f84"),
        ("at", "1970-01-01T00:00:00.000Z"),
        ("price", 1),
        ("minimum_bid", 0),
    ],
)
def test_placeholders_are_found(name, value):
    assert placeholders({name: [value]})


def structs_of_events():
    for domain in DOMAINS:
        yield from domain.personal_events.items()
        for kind in domain.channels:
            yield from kind.events.items()
            if kind.value is not None:
                yield kind.word, kind.value


def test_every_message_has_examples_that_fit_its_schema_and_decode_by_its_own_type(asyncapi):
    messages = asyncapi["components"]["messages"]
    types = dict(structs_of_events())
    for route in (route for route in ROUTES if route.rpc):
        types[f"{route.name}.request"] = route.command
        types |= {f"{route.name}.reply": route.reply} if route.reply is not None else {}
    assert types.keys() <= messages.keys()
    for name, kind in types.items():
        examples = messages[name]["examples"]
        assert examples, name
        schema = {**messages[name]["payload"], "components": asyncapi["components"]}
        for example in examples:
            jsonschema.Draft202012Validator(schema).validate(example["payload"])
            assert isinstance(msgspec.json.decode(to_json(example["payload"]), type=kind), kind), name


def test_a_thing_has_one_id_and_two_things_have_two(asyncapi):
    events = {
        name: asyncapi["components"]["messages"][name]["examples"][0]["payload"]
        for name, _ in structs_of_events()
    }
    opened, won, sold = events["auction_opened"], events["auction_won"], events["auction_sold"]
    assert opened["auction_id"] == won["auction_id"] == sold["auction_id"]
    assert len({opened["auction_id"], opened["listing_id"], opened["seller_id"], sold["buyer_id"]}) == 4
    page = asyncapi["components"]["messages"]["auctions.get_page.reply"]["examples"][0]["payload"]
    assert page["auction"]["id"] == opened["auction_id"]
    assert page["listing"]["id"] == opened["listing_id"]
    assert page["seller"]["id"] == opened["seller_id"]
    assert page["position"]["channel"] == f"auctions:{opened['auction_id']}"


def test_an_auction_opens_before_its_bids_and_closes_after_its_end(asyncapi):
    at = {
        word: asyncapi["components"]["messages"][word]["examples"][0]["payload"]["at"]
        for word in ("auction_opened", "auction_started", "bid_placed", "ending_soon", "auction_closed")
    }
    opened = asyncapi["components"]["messages"]["auction_opened"]["examples"][0]["payload"]
    assert list(at.values()) == sorted(at.values())
    assert at["auction_opened"] < opened["starts_at"] <= at["auction_started"]
    assert at["ending_soon"] < opened["ends_at"] <= at["auction_closed"]


def test_money_of_the_examples_adds_up(openapi):
    answers = {}
    for where, example in examples_of(openapi):
        answers.setdefault(where, []).append(example)
    quote, exchanged = answers["payments.quote_exchange"][-1], answers["payments.exchange"][-1]
    assert quote["buy"]["currency"] != quote["sell"]["currency"]
    assert (quote["sell"], quote["buy"], quote["spread"]) == tuple(
        exchanged[name] for name in ("sold", "bought", "spread")
    )
    rate = float(quote["rate"])
    assert quote["buy"]["amount"] + quote["spread"]["amount"] == int(quote["sell"]["amount"] * rate)
    statement = answers["payments.get_statement"][-1]
    assert statement["from"] <= statement["items"][0]["at"] < statement["to"]
    assert statement["opening"] + sum(item["amount"] for item in statement["items"]) == statement["closing"]
    assert statement["items"][-1]["balance"] == statement["closing"]
    escrow = answers["payments.get_escrow"][-1]
    assert escrow["amount"] == escrow["released"] + escrow["refunded"] + escrow["left"]
    assert escrow["amount"] == sum(line["amount"] for line in escrow["lines"])
    assert all(
        (line["user_id"] is None) == (line["role"] in {"commission", "tax"}) for line in escrow["lines"]
    )
    treasury = answers["payments.get_treasury"][-1]
    assert treasury["balanced"] == (treasury["faults"] == [] and treasury["faulty_accounts"] == 0)
    (difference,) = answers["payments.list_reconciliations"][-1]["items"][0]["differences"]
    assert difference["kind"] == "amount_differs"
    assert difference["provider_amount"] != difference["our_amount"]


@pytest.mark.parametrize(
    ("where", "status"),
    [
        ("payments.get_top_up", "succeeded"),
        ("payments.confirm_test_payment", "succeeded"),
        ("payments.get_payout", "paid"),
    ],
)
def test_what_went_well_has_no_failure(openapi, where, status):
    *_, answer = (example for name, example in examples_of(openapi) if name == where)
    assert (answer["status"], answer["failure"]) == (status, "")
