"""Whatever bytes come, the answer is a catalogued refusal or a success, never a mistake of ours."""

import asyncio
import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.errors import CATALOGUE
from realtime.ports import ProtocolError

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)
FIELDS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("text", "stars", "tags", "attributes", "key", "if_match"), JSON_VALUES)
)
BODIES = (
    st.binary(max_size=200)
    | FIELDS.map(lambda v: json.dumps(v).encode())
    | JSON_VALUES.map(lambda v: json.dumps(v).encode())
)
CALM = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def check(answer: httpx.Response) -> None:
    assert answer.status_code != 500, answer.text
    if answer.status_code >= 400:
        problem = answer.json()
        assert CATALOGUE[problem["code"]].status == answer.status_code


@pytest.fixture(scope="module")
def places(door):
    _, me = door.sign_in()
    headers = {**me, "Content-Type": "application/json", "Idempotency-Key": "k"}
    return [
        ("POST", "/v1/notes", headers),
        ("PATCH", "/v1/notes/018f0000-0000-7000-8000-000000000000", headers),
        ("POST", "/v1/counters/018f0000-0000-7000-8000-000000000000/add-together", headers),
    ]


@CALM
@given(body=BODIES, place=st.integers(0, 2))
async def test_any_body_is_answered(http, places, body, place):
    method, path, headers = places[place]
    check(await http.request(method, path, content=body, headers=headers))


@CALM
@given(query=st.text(max_size=60), raw=st.binary(max_size=20))
async def test_any_query_is_answered(http, query, raw):
    check(await http.get("/v1/notes", params={"q": query}))
    check(await http.get("/v1/notes?" + "".join(f"%{byte:02x}" for byte in raw)))


@CALM
@given(text=st.text(min_size=1, max_size=30))
async def test_any_path_parameter_is_answered(http, text):
    check(
        await http.get(
            httpx.URL("/v1/notes/").join("".join(f"%{b:02X}" for b in text.encode("utf-8", "replace")))
        )
    )


@CALM
@given(
    name=st.sampled_from(
        ["Idempotency-Key", "If-Match", "If-None-Match", "Authorization", "X-Request-Id", "Origin"]
    ),
    value=st.binary(max_size=80).filter(lambda b: not set(b) & {0, 10, 13}),
)
async def test_any_header_is_answered(http, places, name, value):
    method, path, headers = places[1]
    clean = bytes(b for b in value if 32 <= b != 127).strip()
    answer = await http.request(method, path, content=b'{"text":"a"}', headers={**headers, name: clean})
    check(answer)


@CALM
@given(body=BODIES)
async def test_any_rpc_data_is_answered(door, body):
    caller, _ = door.sign_in()
    numbers = {kind.number: kind.code for kind in CATALOGUE.values()}
    for method in ("notes.write_note", "notes.change_note", "counters.add_up_together"):
        (answer,) = await asyncio.gather(call(door, method, body, caller), return_exceptions=True)
        if isinstance(answer, ProtocolError):
            assert numbers[answer.code] != "internal", answer.message
            assert answer.message.startswith(numbers[answer.code] + ": ")
        else:
            assert isinstance(answer, bytes), answer


async def call(door, method, body, caller):
    return await door.table.call(method, body, caller)
