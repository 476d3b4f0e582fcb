"""Every route is in the tables that the tests of the whole interface read; this says in seconds what is missing."""

from server.domains import DOMAINS, ROUTES, channels_of
from server.schemas.openapi import build_openapi
from tests.support.permission_matrix import CHANNELS, OBJECTS, fields_with_ids
from tests.support.test_data import MADE_FOR
from tests.support.things import THINGS

OPERATIONS = {
    op["operationId"]: op
    for item in build_openapi(ROUTES, "http://x")["paths"].values()
    for op in item.values()
}
ID_FIELDS = {route.name: fields_with_ids(route, OPERATIONS[route.name]) for route in ROUTES}


def test_somebody_has_decided_who_may_touch_what_a_route_names():
    undecided = {name: fields for name, fields in ID_FIELDS.items() if fields and name not in OBJECTS}
    assert undecided == {}, "say in OBJECTS of tests/support/permission_matrix.py whom such a thing lets in"


def test_there_is_a_way_to_make_what_a_route_names():
    unmade = {
        name: set(fields) - set(THINGS) for name, fields in ID_FIELDS.items() if set(fields) - set(THINGS)
    }
    assert unmade == {}, "give THINGS of tests/support/things.py a way to make one"


def test_there_is_data_on_which_the_example_of_a_route_succeeds():
    missing = {name: fields for name, fields in ID_FIELDS.items() if fields and name not in MADE_FOR}
    assert missing == {}, (
        "give TestData of tests/support/test_data.py a method that makes what the route acts on"
    )


def test_every_route_has_an_example_of_its_body():
    def is_shown(operation):
        content = operation.get("requestBody", {}).get("content", {})
        return "application/json" not in content or "example" in content["application/json"]

    assert [name for name in ID_FIELDS if not is_shown(OPERATIONS[name])] == []


def test_no_line_of_the_tables_speaks_of_what_is_gone():
    assert set(OBJECTS) <= set(ID_FIELDS)
    assert set(MADE_FOR) <= set(OPERATIONS)
    assert set(CHANNELS) == {kind.word for kind in channels_of(DOMAINS)}
