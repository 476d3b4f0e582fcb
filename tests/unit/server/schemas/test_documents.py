"""OpenAPI and AsyncAPI documents made from a route table: valid, complete, with examples that the server takes."""

import ast
import re
from pathlib import Path

import jsonschema
import msgspec
import pytest
from msgspec import Struct
from openapi_spec_validator import OpenAPIV31SpecValidator

from handlers.domain import ChannelKind, Domain
from protocols.auth.commands import TooManyMails
from protocols.errors import CATALOGUE, RateLimited
from protocols.problems import problem_body
from protocols.topics import Lane
from protocols.values import to_json
from server.domains import DOMAINS
from server.domains import ROUTES as REAL_ROUTES
from server.schemas.asyncapi import build_asyncapi
from server.schemas.openapi import build_openapi
from server.schemas.problems import problem_responses, refusals_of
from tests.support.notes import ROUTES


class BidPlaced(Struct):
    """A bid was placed."""

    price: int


class Outbid(Struct):
    """Somebody bid more."""

    price: int


class Ticker(Struct):
    """The newest state."""

    price: int


def plain(document):
    return msgspec.json.decode(to_json(document))


async def exists(_db, _aggregate_id) -> bool:
    return True


async def newest(_db, _aggregate_id) -> None:
    return None


def kind(word, lane, **more) -> ChannelKind:
    return ChannelKind(word=word, parameter="auction_id", lane=lane, readers="anyone", **more)


THROWAWAY = (
    Domain(
        name="notes",
        routes=tuple(route for route in ROUTES if route.domain == "notes"),
        channels=(
            kind("auctions", Lane.REPLAYED, exists=exists, events={"bid_placed": BidPlaced}),
            kind("ticker", Lane.LATEST, exists=exists, newest=newest, value=Ticker),
            kind("personal", Lane.REPLAYED, owner_only=True),
        ),
        personal_events={"outbid": Outbid},
    ),
)
TABLES = {"throwaway": ROUTES, "real": REAL_ROUTES}
DOMAIN_TABLES = {"throwaway": THROWAWAY, "real": DOMAINS}


@pytest.fixture(scope="module")
def openapi():
    return plain(build_openapi(ROUTES, "http://127.0.0.1:8080"))


@pytest.fixture(scope="module")
def asyncapi():
    return plain(build_asyncapi(THROWAWAY, "https://mnbara.example"))


def operation(openapi, name):
    return next(
        op for item in openapi["paths"].values() for op in item.values() if op.get("operationId") == name
    )


@pytest.mark.parametrize("routes", TABLES.values(), ids=TABLES)
def test_the_openapi_document_is_valid(routes):
    OpenAPIV31SpecValidator(plain(build_openapi(routes, "http://127.0.0.1:8080"))).validate()


def test_every_route_is_an_operation_of_its_name_at_its_address(openapi):
    for route in ROUTES:
        assert openapi["paths"][route.path][route.method.lower()]["operationId"] == route.name


def test_fields_are_split_into_path_query_header_and_body(openapi):
    change = operation(openapi, "notes.change_note")
    assert [(p["in"], p["name"], p["required"]) for p in change["parameters"]] == [
        ("path", "note_id", True),
        ("header", "If-Match", False),
    ]
    read = operation(openapi, "notes.read_note")
    assert [(p["in"], p["name"]) for p in read["parameters"]] == [
        ("path", "note_id"),
        ("header", "If-None-Match"),
    ]
    assert set(read["responses"]) >= {"200", "304", "401", "404"}
    assert list(change["requestBody"]["content"]["application/json"]["schema"]["properties"]) == ["text"]
    write = operation(openapi, "notes.write_note")
    assert [(p["in"], p["name"], p["required"]) for p in write["parameters"]] == [
        ("header", "Idempotency-Key", True)
    ]
    find = operation(openapi, "notes.find_notes")
    assert {(p["in"], p["name"]) for p in find["parameters"]} == {
        ("query", name) for name in ("q", "stars", "limit", "loud")
    }
    assert "requestBody" not in find


def test_every_refusal_of_a_route_is_a_response_with_an_example(openapi):
    for route in ROUTES:
        responses = operation(openapi, route.name)["responses"]
        for refusal in refusals_of(route):
            examples = responses[str(refusal.status)]["content"]["application/problem+json"]["examples"]
            assert examples[refusal.code] == {"$ref": f"#/components/examples/{refusal.code}"}
    assert "note_too_dull" in operation(openapi, "notes.write_note")["responses"]["409"]["description"]


def test_retry_after_is_promised_where_every_refusal_of_the_status_has_it():
    sure, unsure = (
        problem_responses(kinds)["429"]["headers"]["Retry-After"]
        for kinds in ([RateLimited], [RateLimited, TooManyMails])
    )
    assert sure == {"$ref": "#/components/headers/Retry-After"}
    assert unsure["required"] is False


def test_the_example_of_a_refusal_is_what_the_server_would_answer(openapi):
    problem = jsonschema.Draft202012Validator(openapi["components"]["schemas"]["Problem"])
    assert set(openapi["components"]["examples"]) == set(CATALOGUE)
    for code, example in openapi["components"]["examples"].items():
        problem.validate(example["value"])
        kind = CATALOGUE[code]
        answered = msgspec.json.decode(problem_body(kind(**kind.example), example["value"]["trace_id"]))
        assert example["value"] == answered
        assert kind.example.keys() <= answered.keys(), f"a fact of {code} has the name of a problem's member"


def facts_in_source():
    """(code word, fact names) of every refusal that the product makes with facts."""
    kinds = {kind.__name__: kind for kind in CATALOGUE.values()}
    for layer in ("handlers", "server", "storage"):
        for path in Path(layer).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                name = getattr(
                    getattr(node, "func", None), "id", getattr(getattr(node, "func", None), "attr", "")
                )
                if isinstance(node, ast.Call) and name in kinds and node.keywords:
                    yield kinds[name], {keyword.arg for keyword in node.keywords if keyword.arg}


def test_every_fact_that_a_refusal_carries_is_in_its_example():
    """Else clients learn of it by surprise: give the class an `example` with it."""
    found = list(facts_in_source())
    assert found
    hidden = [(kind.code, facts - kind.example.keys()) for kind, facts in found]
    assert [(code, facts) for code, facts in hidden if facts] == []


@pytest.mark.parametrize("routes", TABLES.values(), ids=TABLES)
def test_every_operation_has_examples_that_fit_its_schemas(routes):
    """Of what is sent, in the path, the query, headers and body, and of what is answered."""
    document = plain(build_openapi(routes, "http://127.0.0.1:8080"))
    components = {"components": document["components"]}

    def check(schema, example):
        validator = jsonschema.Draft202012Validator(
            {**schema, **components}, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
        )
        validator.validate(example)

    for path, item in document["paths"].items():
        for op in item.values():
            for parameter in op.get("parameters", []):
                check(parameter["schema"], parameter["example"])
            body = op.get("requestBody", {}).get("content", {}).get("application/json")
            if body:
                check(body["schema"], body["example"])
                assert body["example"], f"{path}: the example shows no field"
            for status, answer in op["responses"].items():
                content = answer.get("content", {}).get("application/json")
                if content:
                    check(content["schema"], content["example"])
                assert answer.get("content") or int(status) >= 400 or status in {"204", "304"}


@pytest.mark.parametrize("routes", TABLES.values(), ids=TABLES)
def test_the_example_of_every_command_is_one_that_the_server_decodes(routes):
    document = plain(build_openapi(routes, "http://127.0.0.1:8080"))
    for route in routes:
        op = operation(document, route.name)
        values = {p["name"]: p["example"] for p in op.get("parameters", []) if p["in"] in {"path", "query"}}
        body = op.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example", {})
        sent = {"content": b""} if route.upload else body
        msgspec.convert({**values, **sent}, route.command)


def test_permissions_are_security_requirements(openapi):
    assert operation(openapi, "notes.write_note")["security"] == [{"bearer": []}]
    assert operation(openapi, "notes.read_note")["security"] == [{}, {"bearer": []}]


def test_an_upload_is_described_by_its_media_types():
    openapi = plain(build_openapi(REAL_ROUTES, "http://127.0.0.1:8080"))
    upload = operation(openapi, "listings.upload_photo")
    assert set(upload["requestBody"]["content"]) == {"image/jpeg", "image/png", "image/webp"}
    assert [p["name"] for p in upload["parameters"]] == ["listing_id"]
    served = openapi["paths"]["/v1/photos/{name}"]["get"]
    assert set(served["responses"]["200"]["content"]) == {"image/jpeg"}


def references(value):
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    if isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_reference_of_both_documents_leads_somewhere(openapi, asyncapi):
    for document in (openapi, asyncapi):
        found = set(references(document))
        assert found
        for reference in found:
            place = document
            for step in reference.removeprefix("#/").split("/"):
                place = place[step]


def test_the_asyncapi_document_has_the_parts_that_the_specification_requires(asyncapi):
    assert asyncapi["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= asyncapi["info"].keys()
    server = asyncapi["servers"]["websocket"]
    assert (server["host"], server["protocol"]) == ("mnbara.example", "wss")
    for found in asyncapi["operations"].values():
        assert found["action"] in {"send", "receive"}
        channel = found["channel"]["$ref"].removeprefix("#/channels/")
        for message in found["messages"]:
            assert message["$ref"].startswith(f"#/channels/{channel}/messages/")
    for group in ("schemas", "messages", "securitySchemes"):
        assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", name) for name in asyncapi["components"][group])


def test_every_rpc_is_an_operation_with_a_reply_and_rest_only_routes_are_not(asyncapi):
    for route in THROWAWAY[0].routes:
        assert (route.name in asyncapi["operations"]) == route.rpc
    call = asyncapi["operations"]["notes.write_note"]
    assert call["reply"]["messages"][0]["$ref"].endswith("/notes.write_note.reply")
    assert "1999 note_too_dull" in call["description"]


def test_channels_carry_the_events_of_their_domain(asyncapi):
    channels = asyncapi["channels"]
    assert set(channels) == {"auctions", "ticker", "personal", "rpc"}
    assert set(channels["auctions"]["messages"]) == {"bid_placed"}
    assert set(channels["personal"]["messages"]) == {"outbid"}
    assert channels["auctions"]["address"] == "auctions:{auction_id}"
    assert set(channels["auctions"]["parameters"]) == {"auction_id"}
    payload = asyncapi["components"]["messages"]["bid_placed"]["payload"]
    assert payload["allOf"][0]["properties"]["type"]["const"] == "bid_placed"


def test_the_real_channels_are_documented():
    channels = plain(build_asyncapi(DOMAINS, "http://x"))["channels"]
    assert {"auctions", "ticker", "personal", "rpc"} <= set(channels)
    assert {"outbid", "auction_won", "auction_lost"} <= set(channels["personal"]["messages"])


ASYNCAPI_SCHEMA = Path("tests/js/node_modules/@asyncapi/specs/schemas/3.0.0.json")


@pytest.mark.parametrize("domains", DOMAIN_TABLES.values(), ids=DOMAIN_TABLES)
def test_the_asyncapi_document_is_valid(domains):
    if not ASYNCAPI_SCHEMA.exists():
        pytest.skip("the specification's own schema is not here (npm install in tests/js)")
    schema = msgspec.json.decode(ASYNCAPI_SCHEMA.read_bytes())
    document = plain(build_asyncapi(domains, "http://127.0.0.1:8080"))
    jsonschema.Draft7Validator(schema).validate(document)
    document["operations"]["publish_auctions"] = {"action": "shout"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate(document)


@pytest.mark.parametrize("domains", DOMAIN_TABLES.values(), ids=DOMAIN_TABLES)
def test_every_message_has_an_example_that_fits_its_payload(domains):
    document = plain(build_asyncapi(domains, "http://127.0.0.1:8080"))
    for name, message in document["components"]["messages"].items():
        schema = {**message["payload"], "components": document["components"]}
        examples = message.get("examples", [])
        assert examples or message["payload"] == {"type": "null"}, name
        for example in examples:
            jsonschema.Draft202012Validator(schema).validate(example["payload"])
