"""Bounds on raw connections: heads that are too large, too slow or no HTTP, bodies that never end, pipelining."""

import asyncio
import json
import socket
import time
from urllib.parse import urlsplit

import pytest

from protocols.errors import CATALOGUE
from server.http import exchange, protocol
from server.http.protocol import HEAD_BYTES_MAX, HEADERS_MAX, URL_BYTES_MAX


@pytest.fixture
async def connection(door):
    parts = urlsplit(door.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    yield reader, writer
    writer.close()


async def answer_of(reader):
    """Read one answer; return status, headers and problem."""
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode()
    first, *lines = head.strip().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(first.split()[1]), headers, json.loads(body or b"{}")


async def refusal_of(reader):
    """Read an answer after which the connection ends; return the code word."""
    status, headers, problem = await answer_of(reader)
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert headers["x-request-id"] == problem["trace_id"]
    assert headers["x-content-type-options"] == "nosniff"
    assert CATALOGUE[problem["code"]].status == status == problem["status"]
    assert await asyncio.wait_for(reader.read(), 10) == b""
    return problem["code"]


GET = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /v1/notes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
UPGRADE = (
    b"GET /connection/websocket HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.mark.parametrize(
    ("request_bytes", "word"),
    [
        (b"NONSENSE\r\n\r\n", "invalid_input"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "invalid_input"),
        (GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "invalid_input"),
        (b"GET /" + b"a" * URL_BYTES_MAX + b" HTTP/1.1\r\nHost: x\r\n\r\n", "uri_too_long"),
        (b"GET /" + b"a" * 200_000, "uri_too_long"),
        (GET + b"X-A: " + b"a" * HEAD_BYTES_MAX + b"\r\n\r\n", "head_too_large"),
        (GET + b"X-A: " + b"a" * 600_000, "head_too_large"),
        (b"GET /health/live HTTP/1.1\r\n\r\n", "invalid_input"),
        (GET + b"Host: x\r\n\r\n", "invalid_input"),
        (GET + b"hOST: y\r\n\r\n", "invalid_input"),
        (b"GET /health/live HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", "invalid_input"),
        (b"GET /health/live HTTP/1.1\r\nHost: a b\r\n\r\n", "invalid_input"),
        (b"GET /health/live HTTP/1.1\r\nHost: a/b\r\n\r\n", "invalid_input"),
        (UPGRADE + b"\r\n", "invalid_input"),
        (UPGRADE + b"Host: x\r\nHost: y\r\n\r\n", "invalid_input"),
        (POST + b"Transfer-Encoding: foo\r\n\r\nabc", "invalid_input"),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "invalid_input"),
        (
            POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "invalid_input",
        ),
        (POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "invalid_input"),
        (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", "invalid_input"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}", "invalid_input"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n", "invalid_input"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n", "invalid_input"),
        (GET + b"X-A: b\r\n" * (HEADERS_MAX + 1) + b"\r\n", "head_too_large"),
        (GET + b"X-A: " + b"a" * 1000 + b"\r\n" + (b"X-B: " + b"b" * 1000 + b"\r\n") * 40, "head_too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value[-60:]} of {len(value)} bytes",
)
async def test_a_bad_head_is_a_problem_and_ends_the_connection(connection, request_bytes, word):
    reader, writer = connection
    writer.write(request_bytes)
    assert await refusal_of(reader) == word


@pytest.mark.parametrize("host", [b"", b"Host:\r\n", b"Host: [::1]:8080\r\n"])
async def test_an_old_request_needs_no_host(connection, host):
    reader, writer = connection
    writer.write(b"GET /health/live HTTP/1.0\r\n" + host + b"\r\n")
    assert (await answer_of(reader))[0] == 200


async def test_a_chunk_that_breaks_while_its_request_is_served_is_answered(connection, door):
    reader, writer = connection
    _, headers = door.sign_in()
    token = b"Authorization: %b\r\n" % headers["Authorization"].encode()
    writer.write(POST + token + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.write(b"zz\r\n")
    assert await refusal_of(reader) == "invalid_input"


async def test_what_came_before_a_bad_head_is_answered_first(connection):
    reader, writer = connection
    writer.write(2 * (GET + b"\r\n") + GET + b"Host: y\r\n\r\n" + GET + b"\r\n")
    assert [(await answer_of(reader))[0] for _ in range(2)] == [200, 200]
    assert await refusal_of(reader) == "invalid_input"


async def test_a_head_that_is_dripped_is_bounded_too(connection):
    reader, writer = connection
    writer.write(GET + b"X-A: ")
    answer = asyncio.create_task(refusal_of(reader))
    while not answer.done():
        writer.write(b"a" * 1000)
        await asyncio.sleep(0.002)
    assert await answer == "head_too_large"


async def test_the_largest_allowed_head_is_served(connection):
    reader, writer = connection
    writer.write(GET + b"X-A: " + b"a" * (HEAD_BYTES_MAX - 100) + b"\r\n\r\n")
    assert (await answer_of(reader))[0] == 200


async def test_a_slow_head_is_given_up(connection, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.3)
    reader, writer = connection
    writer.write(GET + b"\r\n")
    assert (await answer_of(reader))[0] == 200
    started = time.monotonic()
    writer.write(GET)  # a further request on the same connection
    assert await refusal_of(reader) == "request_timeout"
    assert time.monotonic() - started < 2


async def test_a_connection_that_says_nothing_is_closed(door, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.2)
    parts = urlsplit(door.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_a_kept_connection_outlives_the_time_for_a_head(connection, monkeypatch):
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.2)
    reader, writer = connection
    for _ in range(2):
        writer.write(GET + b"\r\n")
        assert (await answer_of(reader))[0] == 200
        await asyncio.sleep(0.5)


def post(door, length):
    token = door.sign_in()[1]["Authorization"]
    return (
        f"POST /v1/notes HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nIdempotency-Key: k\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


async def test_a_slow_body_is_given_up_and_its_connection_cut(connection, door, monkeypatch):
    monkeypatch.setattr(exchange.Incoming.body, "__defaults__", (exchange.DATA_BYTES_MAX, 0.3, 0))
    monkeypatch.setattr(protocol, "LINGER_S", 0.3)
    reader, writer = connection
    writer.write(post(door, 100) + b'{"text":')
    status, _, problem = await answer_of(reader)
    assert (status, problem["code"]) == (408, "request_timeout")
    started = time.monotonic()
    while not reader.at_eof() and time.monotonic() - started < 5:
        writer.write(b" ")  # it goes on dripping
        await asyncio.sleep(0.05)
    assert time.monotonic() - started < 2


async def test_the_rest_of_a_refused_body_does_not_hide_the_answer(connection, door):
    reader, writer = connection
    writer.write(post(door, 2_000_000))
    writer.write(b" " * 2_000_000)
    status, _, problem = await answer_of(reader)
    assert (status, problem["code"]) == (413, "payload_too_large")
    writer.write(GET + b"\r\n")  # all of it was thrown away: the connection serves on
    assert (await answer_of(reader))[0] == 200


async def test_pipelined_requests_are_answered_in_order(connection, door):
    reader, writer = connection
    note = b'{"text":"' + b"a" * 150 + b'"}'
    writer.write(post(door, len(note)) + note + GET + b"\r\n" + b"GET /nope HTTP/1.1\r\nHost: x\r\n\r\n")
    statuses = [(await answer_of(reader))[0] for _ in range(3)]
    assert statuses == [201, 200, 404]


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"


@pytest.mark.parametrize("piece", [1, 7, 1_000_000])
async def test_an_offer_of_http_2_is_ignored_and_the_body_arrives(connection, door, piece):
    reader, writer = connection
    note = b'{"text":"' + b"a" * 150 + b'"}'
    offered = post(door, len(note)).replace(b"\r\n\r\n", b"\r\n" + OFFER + b"\r\n") + note
    sent = offered + GET + OFFER + b"\r\n" + offered.replace(b"Key: k", b"Key: l") + GET + b"\r\n"
    for start in range(0, len(sent), piece):
        writer.write(sent[start : start + piece])
        await asyncio.sleep(0)
    told = [await answer_of(reader) for _ in range(4)]
    assert [status for status, _, _ in told] == [201, 200, 201, 200]


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"


@pytest.mark.parametrize(
    "endless", [b"0\r\nX: " + b"a" * 20_000, b"0\r\n" + b"X: a\r\n" * 4_000, b"1;" + b"x" * 20_000]
)
async def test_what_a_body_says_beside_its_content_is_bounded(connection, door, endless):
    reader, writer = connection
    _, headers = door.sign_in()
    token = b"Authorization: %b\r\n" % headers["Authorization"].encode()
    writer.write(POST + token + CHUNKED + endless)
    assert await refusal_of(reader) == "head_too_large"


async def test_a_trailer_is_no_header(connection, door):
    reader, writer = connection
    _, headers = door.sign_in()
    trailer = b"0\r\nAuthorization: %b\r\n\r\n" % headers["Authorization"].encode()
    writer.write(POST + CHUNKED + trailer)
    assert (await answer_of(reader))[2]["code"] == "unauthenticated"


async def test_a_request_whose_client_closes_its_sending_side_is_answered(connection, door):
    reader, writer = connection
    note = b'{"text":"half closed"}'
    writer.write(post(door, len(note)).replace(b"Key: k", b"Key: half") + note)
    writer.write_eof()
    assert (await answer_of(reader))[0] == 201
    assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_a_body_that_ends_early_ends_the_connection(connection, door):
    reader, writer = connection
    writer.write(post(door, 100) + b'{"text":')
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_a_client_that_never_reads_is_cut(door, monkeypatch):
    monkeypatch.setattr(protocol, "UNREAD_S", 0.2)
    parts = urlsplit(door.url)
    silent = socket.socket()
    silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    silent.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(silent, (parts.hostname, parts.port))
    asked = loop.create_task(ask_for_ever(loop, silent))
    await asyncio.wait([asked], timeout=20)
    silent.close()
    assert isinstance(asked.exception(), ConnectionError)


async def ask_for_ever(loop, silent):
    while True:
        await loop.sock_sendall(silent, b"GET /v1/errors HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
