"""Who may do what, on a running system: whoever is not named is denied, over REST and over RPC, and on every channel.

What must happen is said in `tests/support/permission_matrix.py`. The first tier makes one denied call of every route,
over REST the whole door of RPC for every kind of person, and every channel; the second every route as everybody.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from websockets.exceptions import ConnectionClosed

from handlers.contract import Route
from protocols.errors import CATALOGUE
from protocols.topics import Lane
from protocols.values import new_id, to_json
from server.domains import DOMAINS, ROUTES, channels_of
from server.http.arguments import HEADER_FIELDS, path_fields, reads_query, reads_token
from server.schemas.openapi import build_openapi
from tests.support.oidc_server import oidc_environment
from tests.support.permission_matrix import (
    CHANNELS,
    DENIALS,
    LOCKED_OUT,
    PEOPLE,
    expected,
    fields_with_ids,
)
from tests.support.system import System, running_system, scratch_home
from tests.support.test_system import Socket, TestSystem, open_test_system
from tests.support.things import PICTURE, THINGS

KINDS = {kind.word: kind for kind in channels_of(DOMAINS)}
REPLAYED = {kind.word for kind in channels_of(DOMAINS) if kind.lane is Lane.REPLAYED}
OPERATIONS = {
    op["operationId"]: op
    for item in build_openapi(ROUTES, "http://x")["paths"].values()
    for op in item.values()
}
SUBJECTS = sorted({route.name.partition(".")[0] for route in ROUTES})
NO_ENTRY = {"unauthenticated", "token_invalid", "token_expired", "session_over"}

ENDS_SESSION = {"auth.logout"}
"""Routes that end the session of who calls them."""


@pytest.fixture(scope="module")
def running(engines, database, redis_url) -> Iterator[System]:
    environment = {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
        "MNBARA_RATE_LIMITS": "off",
        "MNBARA_DRAIN_S": "1",
    }
    with scratch_home() as home:
        environment |= oidc_environment(home)
        with running_system(home, environment=environment) as system:
            yield system


@pytest.fixture(scope="module")
def system(running, database, redis_url) -> Iterator[TestSystem]:
    with open_test_system(running, database, redis_url) as made:
        yield made


# -- calls -----------------------------------------------------------------------------------------------------------


def fields_of(system: TestSystem, route: Route) -> dict[str, Any]:
    """Return the fields of a call as the documents show it, on things of its own."""
    operation = OPERATIONS[route.name]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    fields = dict(content.get("example", {}))
    made: dict[str, str] = {}
    for name in fields_with_ids(route, operation):
        if name not in made:
            made |= THINGS[name](system)
    fields |= made
    known = {"amount": 900_000 - 1, "ends_at": (datetime.now(UTC) + timedelta(hours=30)).isoformat()}
    fields.update({name: value for name, value in known.items() if name in fields})
    return {name: value for name, value in fields.items() if name in route.command.__struct_fields__}


def judge(route: Route, status: int, code: str) -> str:
    """Return what has happened, as `expected` says it; a refusal for another reason than who asks counts as in."""
    if code in NO_ENTRY and reads_token(route):
        return "unauthenticated"
    return "denied" if code in DENIALS or status == 404 else "in"


def over_rest(system: TestSystem, route: Route, who: str, fields: dict[str, Any]) -> str:
    headers = system.headers(who)
    if "key" in route.command.__struct_fields__:
        headers[HEADER_FIELDS["key"]] = str(new_id())
    left = {name: value for name, value in fields.items() if name not in path_fields(route)}
    sent: dict[str, Any] = {"params": left} if reads_query(route) else {"json": left}
    if route.upload is not None:
        headers["Content-Type"] = route.upload.media_types[0]
        sent = {"content": PICTURE}
    answer = system.http.request(route.method, route.path.format(**fields), headers=headers, **sent)
    code = answer.json().get("code", "") if answer.status_code >= 400 else ""
    return judge(route, answer.status_code, code)


def over_rpc(system: TestSystem, route: Route, who: str, fields: dict[str, Any]) -> str:
    sent = fields | ({"key": str(new_id())} if "key" in route.command.__struct_fields__ else {})
    error = system.ask(who, {"rpc": {"method": route.name, "data": json.loads(to_json(sent))}}).get("error")
    if error is None:
        return "in"
    if error["code"] == 104:
        return "no such method"
    code = error["message"].partition(":")[0]
    return judge(route, CATALOGUE[code].status, code)


def cell(system: TestSystem, door: Any, route: Route, who: str, fields: dict[str, Any]) -> str:
    """Return what is wrong with a call; nothing when it ends as it must."""
    wanted = expected(route, who)
    got = door(system, route, who, fields)
    if got == "in" and route.name in ENDS_SESSION:
        system.start_new_session(who)
    return "" if got == wanted else f"{door.__name__} {route.name} as {who}: {got}, not {wanted}"


# -- the first tier ---------------------------------------------------------------------------------------------------


def nearest_denied(route: Route) -> str | None:
    """Return who comes closest to being let in and is not: a signed-in person first, the anonymous one last."""
    order = ("other", "support", "finance", "admin", "party", "owner", "anonymous", *LOCKED_OUT)
    return next((who for who in order if expected(route, who) != "in"), None)


def test_on_every_route_who_comes_closest_is_denied(system):
    closest = [(route, nearest_denied(route)) for route in ROUTES]
    wrong = [
        cell(system, over_rest, route, who, fields_of(system, route))
        for route, who in closest
        if who is not None
    ]
    assert [text for text in wrong if text] == []
    assert len(wrong) > len(ROUTES) / 2


def rpc_cells() -> dict[tuple[str, str, str], Route]:
    """For every person, permission and outcome: one route that has it."""
    cells: dict[tuple[str, str, str], Route] = {}
    for who in PEOPLE:
        for route in ROUTES:
            if route.rpc:
                cells.setdefault((who, route.permission.name, expected(route, who)), route)
    return cells


def test_rpc_tells_every_kind_of_person_apart(system):
    cells = rpc_cells()
    assert {outcome for _, _, outcome in cells} == {"in", "denied", "unauthenticated"}
    wrong = [
        cell(system, over_rpc, route, who, fields_of(system, route)) for (who, _, _), route in cells.items()
    ]
    assert [text for text in wrong if text] == []


def test_rpc_knows_the_routes_that_are_for_it_and_no_others(system):
    known = {route.name: over_rpc(system, route, "anonymous", {}) != "no such method" for route in ROUTES}
    assert known == {route.name: route.rpc for route in ROUTES}


@pytest.mark.parametrize("who", LOCKED_OUT)
def test_who_is_locked_out_gets_no_socket(system, who):
    if LOCKED_OUT[who] == "token_expired":
        opened = Socket(system.running.websocket_url, system.token(who)).opened
        assert opened["error"]["code"] == 109  # refresh it and come back
        return
    with pytest.raises(ConnectionClosed) as closed:
        Socket(system.running.websocket_url, system.token(who))
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 3500  # for good


def channel_of(system: TestSystem, word: str) -> str:
    """Return a channel of the owner's: of themselves, or of a thing that `THINGS` makes for the kind's parameter."""
    kind = KINDS[word]
    if kind.single:
        return word
    if kind.owner_only:
        return kind.name(UUID(system.users.people["owner"].user_id))
    return kind.name(UUID(THINGS[kind.parameter](system)[kind.parameter]))


def subscribe(system: TestSystem, channel: str, who: str) -> str:
    code = system.ask(who, {"subscribe": {"channel": channel}}).get("error", {"code": 0})["code"]
    # 105: the server has subscribed its user already
    return {0: "in", 105: "in", 102: "denied", 103: "denied"}.get(code, f"code {code}")


def test_a_channel_is_followed_over_a_socket_by_those_named(system):
    wrong = []
    for kind in KINDS:
        channel = channel_of(system, kind)
        for who in PEOPLE:
            wanted = "in" if who in CHANNELS[kind] else "denied"
            got = subscribe(system, channel, who)
            wrong += [f"{kind} as {who}: {got}, not {wanted}"] if got != wanted else []
    assert wrong == []


def read_channel(system: TestSystem, channel: str, who: str) -> int:
    path = f"/v1/channels/{channel.replace('#', '%23')}/events"
    return system.http.get(path, headers=system.headers(who)).status_code


def test_a_channel_is_read_over_rest_by_those_named(system):
    wrong = []
    for kind in KINDS:
        channel = channel_of(system, kind)
        for who in (*PEOPLE, *LOCKED_OUT):
            wanted = {200} if who in CHANNELS[kind] and kind in REPLAYED else {403, 404}
            wanted = {401} if who in LOCKED_OUT else wanted
            got = read_channel(system, channel, who)
            wrong += [f"{kind} as {who}: {got}, not in {wanted}"] if got not in wanted else []
    assert wrong == []


# -- the second tier --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("domain", SUBJECTS)
def test_every_route_as_everybody_over_rest(system, domain):
    """Whoever is denied calls first, and on one thing: what they try must leave it as it was for those let in."""
    wrong = []
    for route in (route for route in ROUTES if route.name.partition(".")[0] == domain):
        denied = [who for who in (*PEOPLE, *LOCKED_OUT) if expected(route, who) != "in"]
        let_in = [who for who in (*PEOPLE, *LOCKED_OUT) if expected(route, who) == "in"]
        fields = fields_of(system, route)
        wrong += [cell(system, over_rest, route, who, fields) for who in denied]
        for number, who in enumerate(let_in):
            own = fields if number == 0 else fields_of(system, route)
            wrong.append(cell(system, over_rest, route, who, own))
    assert [text for text in wrong if text] == []
