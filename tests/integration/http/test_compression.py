"""Compressed answers over real HTTP: who gets what, and what stays as it is."""

import asyncio
import gzip
from urllib.parse import urlsplit

import brotli
import pytest

from protocols.values import new_id
from server.http import compression
from server.http.compression import choose_coding


@pytest.fixture(scope="module")
async def notes(http, door):
    _, me = door.sign_in()
    for number in range(60):
        headers = {**me, "Idempotency-Key": str(new_id())}
        text = f"note {number} about much the same as all the others"
        await http.post("/v1/notes", json={"text": text}, headers=headers)
    return me


async def raw(door, path, accept, method="GET", **headers):
    """Return status, headers (a list) and the body as it came; httpx would unpack it."""
    parts = urlsplit(door.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    accepts = f"Accept-Encoding: {accept}\r\n" if accept is not None else ""
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{accepts}{lines}\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    return int(first.split()[1]), [tuple(line.lower().split(": ", 1)) for line in rest], body


LIST = "/v1/notes?limit=50"


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("br", "br"),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("br;q=0, gzip", "gzip"),
        ("*", "br"),
        ("*;q=0", ""),
        ("identity", ""),
        ("identity;q=1, gzip;q=0.5", ""),
        ("x-gzip", "gzip"),
        ("deflate", ""),
        ("GZIP ; q=0.8", "gzip"),
        ("gzip;q=7, br;q=x", ""),
        ("", ""),
        (None, ""),
    ],
)
async def test_the_client_says_what_it_takes(door, notes, accept, coding):
    assert choose_coding(accept or "") == coding
    _, _, plain = await raw(door, LIST, None)
    status, headers, body = await raw(door, LIST, accept)
    assert status == 200
    assert dict(headers).get("content-encoding", "") == coding
    assert ("vary", "accept-encoding") in headers
    assert int(dict(headers)["content-length"]) == len(body)
    assert {"br": brotli.decompress, "gzip": gzip.decompress, "": bytes}[coding](body) == plain
    if coding:
        assert len(body) < len(plain) / 3


async def test_head_says_what_get_would(door, notes):
    _, get, _ = await raw(door, LIST, "br")
    _, head, body = await raw(door, LIST, "br", method="HEAD")
    volatile = {"x-request-id", "date"}
    assert [h for h in head if h[0] not in volatile] == [h for h in get if h[0] not in volatile]
    assert body == b""


async def test_small_answers_and_answers_with_a_tag_stay_as_they_are(http, door, notes):
    for path in ("/v1/notes?limit=1", "/health/live"):
        status, headers, _ = await raw(door, path, "br")
        assert (status, "content-encoding" in dict(headers)) == (200, False)
    counter = await door.counter()
    _, headers, _ = await raw(door, f"/v1/counters/{counter}", "br")
    assert "etag" in dict(headers)
    assert "content-encoding" not in dict(headers)


async def test_answers_of_commands_are_never_compressed(http, door, notes):
    """They may hold tokens, beside text that somebody else may have chosen (BREACH)."""
    text = "a" * 190
    body = {"text": text, "tags": [text[:10]] * 5, "attributes": {"x": "y" * 3000}}
    headers = {**notes, "Idempotency-Key": str(new_id()), "Accept-Encoding": "br"}
    answer = await http.post("/v1/notes", json=body, headers=headers)
    assert answer.status_code == 201
    assert "content-encoding" not in answer.headers


async def test_documents_are_packed_once(door, monkeypatch):
    first = await raw(door, "/schema/openapi.json", "br")
    monkeypatch.setitem(compression.CODINGS, "br", lambda _: pytest.fail("packed again"))
    assert (await raw(door, "/schema/openapi.json", "br"))[2] == first[2]


async def test_when_all_threads_are_busy_the_answer_goes_out_as_it_is(door, notes, monkeypatch):
    monkeypatch.setattr(compression, "INLINE_BYTES_MAX", 10)
    monkeypatch.setattr(compression, "AT_ONCE_MAX", 0)
    status, headers, body = await raw(door, LIST, "br")
    assert status == 200
    assert body.startswith(b"{")
    assert "content-encoding" not in dict(headers)


async def test_a_compressed_body_is_not_taken(http, door):
    _, me = door.sign_in()
    headers = {**me, "Idempotency-Key": "k", "Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = await http.post("/v1/notes", content=gzip.compress(b'{"text":"a"}'), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
