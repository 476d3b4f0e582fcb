"""The door of the whole application, as wiring builds it: real accounts, tokens, routes and channels."""

import asyncio
import json

import httpx
import pytest
import pytest_asyncio

from handlers.settings import Settings
from protocols.payments.webhooks import EVENT_BYTES_MAX, sign
from protocols.values import new_id, now_instant
from server.domains import ROUTES
from server.http.routes import device_cookie
from server.wiring import open_server
from tests.integration.http.conftest import serving


@pytest.fixture(scope="module")
def secrets(tmp_path_factory):
    return tmp_path_factory.mktemp("secrets")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(database, redis_url, nats_url, secrets):
    settings = Settings(
        postgres_url=database,
        redis_url=redis_url,
        nats_url=nats_url,
        secrets=str(secrets),
        rate_limits=False,
    )
    async with (
        open_server(settings) as process,
        serving(process.app) as url,
        httpx.AsyncClient(base_url=url, timeout=20) as client,
    ):
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def me(http):
    body = {"email": "amina@example.org", "password": "correct horse battery", "display_name": "Amina"}
    answer = await http.post("/v1/auth/register", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["user"], {"Authorization": f"Bearer {answer.json()['tokens']['access_token']}"}


async def test_a_new_user_is_who_the_token_says(http, me):
    user, headers = me
    assert (await http.get("/v1/auth/me", headers=headers)).json()["id"] == user["id"]
    assert (await http.get("/v1/auth/me")).status_code == 401
    forged = {"Authorization": headers["Authorization"][:-4] + "AAAA"}
    answer = await http.get("/v1/auth/me", headers=forged)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
async def test_the_authorisation_scheme_has_no_case(http, me, scheme):
    user, headers = me
    given = {"Authorization": headers["Authorization"].replace("Bearer", scheme)}
    assert (await http.get("/v1/auth/me", headers=given)).json()["id"] == user["id"]


async def test_the_whole_server_is_ready_and_described(http):
    ready = await http.get("/health/ready")
    assert (ready.status_code, set(ready.json()["parts"])) == (
        200,
        {"postgres", "redis", "nats", "postgres_space", "nats_stream", "chain", "payments"},
    )
    assert ready.json()["parts"]["chain"] == "not_configured"
    assert ready.json()["parts"]["payments"] == "test_money"
    assert "chain" not in ready.json()["degraded"]
    document = (await http.get("/schema/openapi.json")).json()
    named = {op.get("operationId") for item in document["paths"].values() for op in item.values()}
    assert {route.name for route in ROUTES} <= named
    assert (await http.get("/.well-known/jwks.json")).json()["keys"][0]["crv"] == "Ed25519"


@pytest.mark.parametrize("size", [16_000, 128_000])
async def test_a_login_that_opens_strings_and_closes_none_is_refused_while_others_are_served(http, size):
    body = (
        b"[" * 33 + b'"' + b'\\"' * size
    )  # at every quote a string might begin: each would be read to the end
    logins = [
        http.post("/v1/auth/login", content=body, headers={"Content-Type": "application/json"}) for _ in "abc"
    ]
    *refused, alive = await asyncio.gather(*logins, http.get("/health/live"))
    assert alive.status_code == 200
    for answer in refused:
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
        assert answer.json()["errors"][0]["pointer"] == ""


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_every_route_answers_a_stranger_by_its_permission(http, route):
    path = route.path
    for name in route.command.__struct_fields__:
        path = path.replace(f"{{{name}}}", str(new_id()))
    body = {} if route.method in {"GET", "DELETE"} else {"json": {}}
    answer = await http.request(route.method, path, **body)
    if route.permission.value == "anyone":
        assert answer.status_code in {200, 400, 404, 415}, answer.text
    else:
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.status_code == 200 or "code" in answer.json()


async def test_a_personal_channel_is_polled_with_what_happened(http, me):
    user, headers = me
    path = f"/v1/channels/personal:%23{user['id']}/events"
    events = (await http.get(path, headers=headers)).json()
    assert [event["data"]["type"] for event in events["events"]] == ["session_started"]
    waiting = asyncio.create_task(
        http.get(path, params={"after": events["offset"], "wait_s": 15}, headers=headers)
    )
    await asyncio.sleep(0.3)
    body = {"email": "amina@example.org", "password": "correct horse battery"}
    assert (await http.post("/v1/auth/login", json=body)).status_code == 200
    answer = (await asyncio.wait_for(waiting, 10)).json()
    assert [event["offset"] for event in answer["events"]] == [events["offset"] + 1]
    assert (await http.get(path)).status_code == 403


async def test_a_browser_keeps_what_it_shows_at_later_sign_ins_in_a_cookie_that_no_script_reads(http):
    mail = {"email": f"{new_id().hex}@example.org", "password": "correct horse battery"}
    async with httpx.AsyncClient(base_url=http.base_url, timeout=20) as browser:
        first = await browser.post("/v1/auth/register", json={**mail, "display_name": "Web"})
        token = first.json()["device_token"]
        value, *attributes = first.headers["set-cookie"].split("; ")
        assert value == f"mnbara_device={token}"
        assert attributes == ["Path=/v1/auth", "Max-Age=34560000", "HttpOnly", "SameSite=Lax"]
        again = await browser.post("/v1/auth/login", json=mail)
        assert again.json()["device_token"] == token, "the cookie was shown and is known"
        assert "set-cookie" not in (await browser.get("/v1/auth/me")).headers
    shown_by_an_app = await http.post("/v1/auth/login", json={**mail, "device_token": token})
    assert shown_by_an_app.json()["device_token"] == token
    elsewhere = await http.post(
        "/v1/auth/login", json=mail, headers={"Cookie": "a=1; mnbara_device=<b>; mnbara_devices=" + token}
    )
    assert elsewhere.json()["device_token"] != token


@pytest.mark.parametrize("shown", [None, 0, False, []])
async def test_what_is_no_text_is_not_taken_for_a_device_that_shows_nothing(http, shown):
    body = {"email": "amina@example.org", "password": "correct horse battery", "device_token": shown}
    answer = await http.post("/v1/auth/login", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/device_token")


def test_the_cookie_of_an_encrypted_connection_stays_on_encrypted_ones():
    body = b'{"device_token":"abc"}'
    assert device_cookie(body, is_secure=True) == device_cookie(body, is_secure=False) + b"; Secure"


@pytest.mark.parametrize(
    ("address", "pointer", "named"),
    [
        ("/v1/auctions?seler=1", "/seler", {"q", "status", "seller_id", "condition", "sort"}),
        ("/v1/listings?colour=red", "/colour", {"q", "seller_id", "condition", "sort"}),
        ("/v1/auctions?sort=price", "/sort", {"ends_at"}),
        ("/v1/auctions?status=open", "/status", {"scheduled", "live", "sold"}),
        ("/v1/listings?sort=cheapest", "/sort", {"price_asc", "newest"}),
        ("/v1/auctions?condition=old", "/condition", {"used", "like_new"}),
    ],
)
async def test_a_refused_filter_or_order_names_those_that_there_are(http, address, pointer, named):
    answer = await http.get(address)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["pointer"]) == (400, pointer)
    assert named <= set(error["detail"].partition("choose ")[2].split(", "))


async def test_a_webhook_is_taken_byte_by_byte_within_bounds_and_only_signed(http, secrets):
    secret = json.loads((secrets / "test_provider.json").read_text())["webhook_secret"]
    body = b' {"id": "evt_http",\n "type": "customer.created", "data": {"object": {"object": "customer"}}}\n'
    signed = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": sign(body, now_instant() // 1000, secret),
    }
    answer = await http.post("/v1/webhooks/stripe", content=body, headers=signed)
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    for changed in (body.strip(), body + b" "):
        answer = await http.post("/v1/webhooks/stripe", content=changed, headers=signed)
        assert (answer.status_code, answer.json()["code"]) == (400, "signature_invalid")
    large = b"[" + b" " * EVENT_BYTES_MAX
    answer = await http.post("/v1/webhooks/stripe", content=large, headers=signed)
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")
    assert (await http.post("/v1/webhooks/stripe", content=body)).status_code == 415
