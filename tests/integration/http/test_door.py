"""What every answer has, and what is no command: headers, request ids, CORS, pages, health, metrics."""

import asyncio
import socket
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from protocols.errors import CATALOGUE
from tests.integration.http.conftest import OPS_TOKEN, running_system

KEPT = ["/", "/schema", "/v1/errors", "/schema/openapi.json", "/schema/asyncapi.json"]
"""Pages that change with the server alone."""

PATHS = [*KEPT, "/v1/notes", "/nope", "/health/live"]


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_has_the_security_headers_and_a_request_id(http, path):
    headers = (await http.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == ("public, max-age=300" if path in KEPT else "no-store")
    assert "strict-transport-security" not in headers
    assert UUID(headers["x-request-id"]).version == 7
    for name in (
        "x-request-id",
        "content-type",
        "content-length",
        "cache-control",
        "content-security-policy",
    ):
        assert len(headers.get_list(name)) == 1


async def test_a_server_reached_over_tls_demands_it_for_a_year(database, redis_url, pool):
    async with (
        running_system(database, redis_url, pool, public_url="https://mnbara.example") as made,
        httpx.AsyncClient(base_url=made.url) as http,
    ):
        headers = (await http.get("/health/live")).headers
        assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


async def test_a_sane_request_id_is_echoed(http):
    answer = await http.get("/nope", headers={"X-Request-Id": "trace-12345"})
    assert answer.headers["x-request-id"] == "trace-12345"
    assert answer.json()["trace_id"] == "trace-12345"


@pytest.mark.parametrize("given", ["short", "x" * 65, "has space in it", "semi;colon;;", '"quoted-id"'])
async def test_another_request_id_is_replaced(http, given):
    answer = await http.get("/health/live", headers={"X-Request-Id": given})
    assert UUID(answer.headers["x-request-id"]).version == 7


TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("given", [f"00-{TRACE}-{PARENT}-01", f"cc-{TRACE}-{PARENT}-01-what-comes-later"])
async def test_a_trace_of_the_caller_goes_on_under_the_request_id_of_the_answer(http, given):
    answer = await http.get("/nope", headers={"traceparent": given, "X-Request-Id": "request-1"})
    assert answer.json()["trace_id"] == TRACE
    assert answer.headers["x-request-id"] == "request-1"


@pytest.mark.parametrize(
    "given",
    [
        [""],
        [f"00-{TRACE}-{PARENT}"],
        [f"00-{TRACE}-{PARENT}-01-more"],
        [f"ff-{TRACE}-{PARENT}-01"],
        [f"00-{'0' * 32}-{PARENT}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [f"00-{TRACE.upper()}-{PARENT}-01"],
        [f"cc-{TRACE}-{PARENT}-01-" + "x" * 5000],
        [f"00-{TRACE}-{PARENT}-01"] * 2,
    ],
)
async def test_what_is_no_trace_is_passed_over(http, given):
    answer = await http.get("/nope", headers=[("traceparent", text) for text in given])
    assert answer.json()["trace_id"] == answer.headers["x-request-id"]


async def test_an_outage_is_logged_with_its_cause_under_the_trace_that_the_client_was_told(http):
    with capture_logs() as logs:
        answer = await http.get(
            "/v1/notes", headers={"traceparent": f"00-{TRACE}-{PARENT}-01", "Authorization": "Bearer away"}
        )
    assert (answer.status_code, answer.json()["trace_id"]) == (503, TRACE)
    (line,) = [line for line in logs if line["event"] == "request_unavailable"]
    assert (line["trace_id"], line["route"], line["code"]) == (TRACE, "/v1/notes", "temporarily_unavailable")
    assert line["cause"] == "ConnectionRefusedError: nobody listens at db"


async def test_with_an_access_log_each_request_is_a_line_without_what_is_personal(database, redis_url, pool):
    async with (
        running_system(database, redis_url, pool, access_log=True) as made,
        httpx.AsyncClient(base_url=made.url) as http,
    ):
        with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
            await http.get(
                "/v1/notes?secret=1", headers={"X-Request-Id": "request-2", "Authorization": "Bearer x"}
            )
    (line,) = [line for line in logs if line["event"] == "http_request"]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/v1/notes", 401)
    assert (line["trace_id"], line["request_id"]) == ("request-2", "request-2")
    assert line["bytes"] > 0
    assert line["ms"] > 0
    assert "secret" not in str(line)
    assert "Bearer" not in str(line)


async def test_without_the_setting_requests_are_not_logged(http):
    with capture_logs() as logs:
        await http.get("/health/live")
    assert logs == []


# -- CORS -------------------------------------------------------------------------------------------------------------


async def test_an_allowed_origin_may_read_answers(http):
    answer = await http.get("/v1/notes", headers={"Origin": "https://app.example"})
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "ETag" in answer.headers["access-control-expose-headers"]
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://app.example", "https://app.example.evil"]
)
async def test_another_origin_may_not(http, origin):
    for method in ("GET", "OPTIONS"):
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = await http.request(method, "/v1/notes", headers=headers)
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_preflight_is_answered(http):
    headers = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,idempotency-key",
    }
    answer = await http.options("/v1/notes", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "Idempotency-Key" in answer.headers["access-control-allow-headers"]


# -- pages ------------------------------------------------------------------------------------------------------------


async def test_the_catalogue_lists_every_error(http):
    items = (await http.get("/v1/errors")).json()["items"]
    assert {item["code"] for item in items} == set(CATALOGUE)
    assert [item["number"] for item in items] == sorted(item["number"] for item in items)
    by_code = {item["code"]: item for item in items}
    assert by_code["key_in_flight"] | {"title": ""} == {
        "code": "key_in_flight",
        "number": 409,
        "status": 409,
        "temporary": True,
        "title": "",
    }


async def test_signing_keys_may_be_kept_for_a_while(http):
    answer = await http.get("/.well-known/jwks.json")
    assert answer.json()["keys"][0]["kid"] == "1"
    assert answer.headers["cache-control"] == "public, max-age=300"


@pytest.mark.parametrize("path", ["/", "/schema"])
async def test_pages_load_nothing_from_elsewhere(http, path):
    answer = await http.get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert "sha256-" in answer.headers["content-security-policy"]


async def test_the_browser_page_shows_no_markup_from_the_document(http):
    assert "innerHTML" not in (await http.get("/schema")).text


# -- health -----------------------------------------------------------------------------------------------------------


async def test_a_process_whose_parts_answer_is_ready(http):
    assert (await http.get("/health/live")).json() == {"status": "live"}
    answer = await http.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "degraded": [],
        "parts": {"database": "ok", "redis": "ok", "third": "ok"},
    }


@pytest.mark.parametrize(
    ("fault", "state", "status", "word"),
    [
        ("third", "failing", 200, "ready"),
        ("third hangs", "timeout", 200, "ready"),
        ("database", "failing", 503, "not_ready"),
        ("database hangs", "timeout", 503, "not_ready"),
    ],
)
async def test_a_part_that_fails_is_named_and_a_required_one_ends_readiness(
    http, door, fault, state, status, word
):
    name = fault.split()[0]
    await asyncio.sleep(0.25)
    door.broken.add(fault)
    try:
        answer = await http.get("/health/ready")
        metrics = (await http.get("/metrics")).text
    finally:
        door.broken.clear()
    assert answer.status_code == status
    assert answer.json() == {
        "status": word,
        "degraded": [name],
        "parts": {"database": "ok", "redis": "ok", "third": "ok", name: state},
    }
    assert f'mnbara_up{{engine="{name}"}} 0.0' in metrics
    assert (await http.get("/health/live")).status_code == 200
    await asyncio.sleep(0.25)
    assert (await http.get("/health/ready")).status_code == 200


# -- metrics ----------------------------------------------------------------------------------------------------------


async def test_metrics_count_commands_by_name_outcome_and_door(http, door):
    before = (await http.get("/metrics")).text
    await http.get("/v1/notes")
    await http.get("/v1/notes?limit=0")
    after = (await http.get("/metrics")).text

    def value(text, outcome):
        name = f'mnbara_commands_total{{door="rest",name="notes.find_notes",outcome="{outcome}"}} '
        return float(text.split(name)[1].split()[0]) if name in text else 0

    assert value(after, "ok") - value(before, "ok") == 1
    assert value(after, "invalid_input") - value(before, "invalid_input") == 1
    assert 'mnbara_command_duration_seconds_bucket{door="rest",le="0.2",name="notes.find_notes"}' in after


async def test_metrics_show_group_commits(http, door, key):
    _, me = door.sign_in()
    counter_id = await door.counter()
    await http.post(f"/v1/counters/{counter_id}/add-together", json={"amount": 1}, headers={**me, **key})
    text = (await http.get("/metrics")).text
    assert 'mnbara_commit_batch_size_bucket{le="1.0",name="counters.add_up_together"}' in text
    assert 'mnbara_commit_duration_seconds_count{name="counters.add_up_together"}' in text


async def test_unknown_addresses_and_methods_make_no_new_labels(http):
    for i in range(5):
        await http.get(f"/nope-{i}")
        await http.request(f"X{i}", "/v1/notes")
    text = (await http.get("/metrics")).text
    assert "nope-" not in text
    assert "X1" not in text


async def test_metrics_are_for_this_machine_or_the_operators_token(http):
    forwarded = {"X-Forwarded-For": "127.0.0.1"}
    refused = await http.get("/metrics", headers=forwarded)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    wrong = await http.get("/metrics", headers={**forwarded, "Authorization": f"Bearer {OPS_TOKEN}x"})
    assert wrong.status_code == 403
    token = {**forwarded, "Authorization": f"Bearer {OPS_TOKEN}"}
    assert (await http.get("/metrics", headers=token)).status_code == 200


async def test_without_an_operators_token_no_token_opens_the_metrics(database, redis_url, pool):
    async with (
        running_system(database, redis_url, pool, ops_token="") as made,
        httpx.AsyncClient(base_url=made.url) as http,
    ):
        for given in ("Bearer", "bearer", ""):
            headers = {"X-Forwarded-For": "1.2.3.4", "Authorization": given}
            assert (await http.get("/metrics", headers=headers)).status_code == 403


# -- raw bytes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_text",
    [
        b"GET /v1/notes HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET /v1/notes HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET \x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/notes HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999999999999\r\n\r\n",
        b"GET /v1/notes/%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/notes/%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/notes/../metrics HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/notes HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"NONSENSE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_broken_http_is_refused_and_the_process_lives(door, http, request_text):
    parts = urlsplit(door.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(request_text)
    writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert not answer.startswith(b"HTTP/1.1 2")
    assert not answer.startswith(b"HTTP/1.1 500")
    assert (await http.get("/health/live")).status_code == 200
