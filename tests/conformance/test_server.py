"""The conformance app itself: who is let in, and the HTTP interface the suites publish through."""

import json

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from tests.acceptance.test_realtime_protocol import Talker
from tests.conformance.rules import make_token
from tests.conformance.server import API_KEY, ConformanceApp
from tests.support.realtime_app import served


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[False, True], ids=["strict", "insecure"])
async def app(request):
    async with served(ConformanceApp(insecure=request.param)) as app:
        app.insecure = request.param
        yield app


@pytest_asyncio.fixture(loop_scope="module")
async def talker(app):
    async with connect(f"ws://127.0.0.1:{app.port}/connection/websocket", compression=None) as ws:
        yield Talker(ws)


async def test_connection_without_a_token_is_let_in_only_when_insecure(app, talker):
    await talker.send({"id": 1, "connect": {}})
    if app.insecure:
        assert "connect" in await talker.next()
        answer = await talker.ask(2, subscribe={"channel": "anything"})
        assert answer["subscribe"]["recoverable"]
        assert (await talker.ask(3, publish={"channel": "elsewhere", "data": 1}))["publish"] == {}
    else:
        assert await talker.goodbye() == 3501


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (make_token("u", channel="c"), 3500),
        (make_token("u")[:-3] + "AAA", 3500),
        ("a.b.c", 3500),
    ],
)
async def test_bad_connection_token_is_final(talker, token, code):
    await talker.send({"id": 1, "connect": {"token": token}})
    assert await talker.goodbye() == code


async def test_expired_connection_token_is_109(talker):
    assert (await talker.ask(1, connect={"token": make_token("u", ttl_s=-5)}))["error"]["code"] == 109


@pytest.mark.parametrize(
    ("channel", "token", "code"),
    [
        ("mine", make_token("u", channel="mine"), 0),
        ("mine", make_token("u", channel="other"), 103),
        ("mine", make_token("v", channel="mine"), 103),
        ("mine", "nonsense", 103),
        ("mine", make_token("u", ttl_s=-5, channel="mine"), 109),
        ("chat#u,v", "", 0),
        ("nowhere:x", "", 102),
        ("recovery:x", "", 0),
    ],
)
async def test_channels_judge_tokens(talker, channel, token, code):
    await talker.ask(1, connect={"token": make_token("u")})
    answer = await talker.ask(2, subscribe={"channel": channel, "token": token})
    assert answer.get("error", {}).get("code", 0) == code


async def test_channel_of_other_users_is_closed_to_strangers(app, talker):
    await talker.ask(1, connect={"token": make_token("u")})
    answer = await talker.ask(2, subscribe={"channel": "chat#v,w"})
    assert ("error" in answer) is not app.insecure


async def test_http_interface_publishes_and_reads(app):
    where = f"http://127.0.0.1:{app.port}"
    async with httpx.AsyncClient(base_url=where, headers={"X-API-Key": API_KEY}, trust_env=False) as http:

        async def call(verb, **command):
            return (await http.post(f"/api/{verb}", content=json.dumps(command))).json()

        for number in (1, 2, 3):
            told = await call("publish", channel="smallhistory:h", data={"n": number}, tags={"a": "b"})
            assert told["result"] == {"offset": number, "epoch": app.log.epoch}
        kept = (await call("history", channel="smallhistory:h", limit=10))["result"]
        assert [(p["offset"], p["data"]) for p in kept["publications"]] == [(2, {"n": 2}), (3, {"n": 3})]
        assert (await call("presence_stats", channel="c"))["result"] == {"num_clients": 0, "num_users": 0}
        assert (await call("publish", channel="nowhere:x", data=1))["error"]["code"] == 102
        assert (await call("publish", data=1))["error"]["code"] == 107
        assert (await call("fly"))["error"]["code"] == 104
        refused = await http.post("/api/publish", content="{}", headers={"X-API-Key": "guess"})
        assert refused.json()["error"]["code"] == 101
