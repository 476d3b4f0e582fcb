"""A route that will go says so in every answer and document, and its calls are counted; no route of ours does today."""

import dataclasses
from datetime import date

import pytest
import pytest_asyncio
from openapi_spec_validator import OpenAPIV31SpecValidator

from handlers.contract import Deprecation
from handlers.domain import Domain
from server.domains import ROUTES as REAL_ROUTES
from server.schemas.asyncapi import build_asyncapi
from tests.integration.http.conftest import running_system
from tests.support.notes import ROUTES

GOING = Deprecation(since=date(2026, 11, 1), sunset=date(2027, 5, 1), successor="/v2/notes")
OLD = "notes.find_notes"
TABLE = [dataclasses.replace(route, deprecated=GOING) if route.name == OLD else route for route in ROUTES]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(database, redis_url, pool):
    async with running_system(database, redis_url, pool, TABLE) as made:
        yield made


async def test_every_answer_tells_since_when_until_when_and_what_instead(http):
    for path, status in (("/v1/notes", 200), ("/v1/notes?limit=0", 400)):
        answer = await http.get(path)
        assert answer.status_code == status
        assert answer.headers["deprecation"] == "@1793491200"
        assert answer.headers["sunset"] == "Sat, 01 May 2027 00:00:00 GMT"
        assert answer.headers.get_list("link") == [
            '</v2/notes>; rel="successor-version"',
            '</schema>; rel="deprecation"; type="text/html"',
        ]


async def test_other_routes_say_nothing(http):
    assert "deprecation" not in (await http.get("/v1/notes/018f0000-0000-7000-8000-000000000000")).headers


async def test_a_page_in_a_browser_may_read_it(http):
    exposures_of = (await http.get("/v1/notes", headers={"Origin": "https://app.example"})).headers[
        "access-control-expose-headers"
    ]
    assert {"Deprecation", "Sunset", "Link"} <= set(exposures_of.split(", "))


async def test_its_calls_are_counted_by_door(door, http):
    caller, _ = door.sign_in()
    await door.table.call(OLD, b"", caller)
    await door.table.call(OLD, b"", caller)
    await http.get("/v1/notes")
    text = (await http.get("/metrics")).text
    assert f'mnbara_deprecated_calls_total{{door="rpc",name="{OLD}"}} 2.0' in text
    assert f'mnbara_deprecated_calls_total{{door="rest",name="{OLD}"}}' in text
    assert 'deprecated_calls_total{door="rest",name="notes.write_note"}' not in text


async def test_both_documents_show_it(http):
    document = (await http.get("/schema/openapi.json")).json()
    OpenAPIV31SpecValidator(document).validate()
    found = {op["operationId"]: op for item in document["paths"].values() for op in item.values()}
    assert found[OLD]["deprecated"] is True
    assert "call /v2/notes by 2027-05-01" in found[OLD]["description"]
    assert {"Deprecation", "Sunset", "Link"} <= set(found[OLD]["responses"]["200"]["headers"])
    assert "deprecated" not in found["notes.write_note"]
    asyncapi = build_asyncapi(
        [Domain(name="notes", routes=tuple(r for r in TABLE if r.domain == "notes"))], "http://x"
    )
    assert "call /v2/notes by 2027-05-01" in asyncapi["operations"][OLD]["description"]


def test_a_sunset_before_its_announcement_is_a_mistake():
    with pytest.raises(AssertionError):
        Deprecation(since=date(2026, 11, 1), sunset=date(2026, 11, 1), successor="/v2/notes")


def test_no_route_is_deprecated_today():
    assert [route.name for route in REAL_ROUTES if route.deprecated] == []
