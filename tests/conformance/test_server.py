"""The conformance app itself: who is let in, and the HTTP interface the suites publish through."""

import asyncio
import json
from io import BytesIO

import httpx
import pytest
import pytest_asyncio
from google.protobuf.proto import parse_length_prefixed, serialize_length_prefixed
from websockets.asyncio.client import connect

from protocols.wire import centrifuge_pb2 as pb
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
        (make_token("u", exp=4e9 + 0.5), 3500),
        (make_token("u", exp=True), 3500),
        (make_token("u", exp="4000000000"), 3500),
        (make_token("u", exp=None), 3500),
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
        ("mine", make_token("u", channel="mine", exp=4e9 + 0.5), 103),
        ("mine", make_token("u", channel="mine", expire_at=4e9 + 0.5), 103),
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
        back = (await call("history", channel="smallhistory:h", limit=1, reverse=True))["result"]
        assert [p["offset"] for p in back["publications"]] == [3]
        refused = await http.post("/api/publish", content="{}", headers={"X-API-Key": "guess"})
        assert refused.json()["error"]["code"] == (107 if app.insecure else 101)


async def test_history_backwards_starts_below_the_position_asked_for(app, talker):
    channel = "recovery:backwards"
    for number in (1, 2, 3):
        app.publish(channel, b"%d" % number)
    await talker.ask(1, connect={"token": make_token("u")})
    await talker.ask(2, subscribe={"channel": channel})
    expected = {0: [], 1: [], 3: [2, 1], 4: [3, 2, 1], 1_000: [3, 2, 1]}
    for command, (offset, numbers) in enumerate(expected.items(), 3):
        since = {"offset": offset, "epoch": app.log.epoch}
        answer = await talker.ask(
            command, history={"channel": channel, "limit": 10, "reverse": True, "since": since}
        )
        assert [p["offset"] for p in answer["history"].get("publications", [])] == numbers, offset


async def test_disconnect_ends_with_the_code_asked_for_and_only_the_client_named(app, talker):
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{app.port}", trust_env=False) as http:
        await talker.ask(1, connect={"token": make_token("ended")})
        for client in ("another", ""):
            command = {"user": "ended", "client": client, "disconnect": {"code": 4321, "reason": "because"}}
            told = await http.post("/api/disconnect", json=command, headers={"X-API-Key": API_KEY})
            assert told.json() == {"result": {}}
            if client:
                assert (await talker.ask(2, publish={"channel": "#ended", "data": 1}))["publish"] == {}
        assert await talker.goodbye() == 4321


async def test_disconnect_with_3000_closes_the_socket_without_a_word(app, talker):
    await talker.ask(1, connect={"token": make_token("cut")})
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{app.port}", trust_env=False) as http:
        command = {"user": "cut", "disconnect": {"code": 3000, "reason": "test"}}
        await http.post("/api/disconnect", json=command, headers={"X-API-Key": API_KEY})
    async with asyncio.timeout(10):
        await talker.ws.wait_closed()
    assert talker.ws.close_code == 1006


async def test_open_server_has_no_budget_of_commands(app, talker):
    await talker.ask(1, connect={"token": make_token("u")})
    await talker.ask(2, subscribe={"channel": "recovery:x"})
    for command in range(3, 703):
        answer = await talker.ask(command, history={"channel": "recovery:x"})
        if "error" in answer:
            break
    assert ("error" in answer) is not app.insecure


async def test_presence_can_be_switched_off():
    async with (
        served(ConformanceApp(insecure=True, presence=False)) as app,
        connect(f"ws://127.0.0.1:{app.port}/connection/websocket", compression=None) as ws,
    ):
        talker = Talker(ws)
        await talker.ask(1, connect={})
        assert (await talker.ask(2, presence={"channel": "c"}))["error"]["code"] == 108
        assert (await talker.ask(3, presence_stats={"channel": "c"}))["error"]["code"] == 108


async def test_bytes_of_a_protobuf_client_reach_protobuf_readers_only(app, talker):
    await talker.ask(1, connect={"token": make_token("u")})
    await talker.ask(2, subscribe={"channel": "recovery:bytes"})
    where = f"ws://127.0.0.1:{app.port}/connection/websocket?format=protobuf"
    async with connect(where, compression=None) as ws:
        await ask_protobuf(ws, pb.Command(id=1, connect=pb.ConnectRequest(token=make_token("u"))))
        await ask_protobuf(ws, pb.Command(id=2, subscribe=pb.SubscribeRequest(channel="recovery:bytes")))
        sent = pb.PublishRequest(channel="recovery:bytes", data=b"\xff\x00")
        replies = await ask_protobuf(ws, pb.Command(id=3, publish=sent))
        if app.insecure:
            while not (pushed := [r.push.pub.data for r in replies if r.push.HasField("pub")]):
                replies = read_protobuf(await ws.recv())
            assert pushed == [b"\xff\x00"]
            assert await talker.goodbye() == 3506
        else:
            assert replies[-1].error.code == 107


async def ask_protobuf(ws, command):
    """Send a command; return what comes up to its reply."""
    frame = BytesIO()
    serialize_length_prefixed(command, frame)
    await ws.send(frame.getvalue())
    replies = []
    while command.id not in [reply.id for reply in replies]:
        replies += read_protobuf(await ws.recv())
    return replies


def read_protobuf(frame):
    stream, replies = BytesIO(frame), []
    while (reply := parse_length_prefixed(pb.Reply, stream)) is not None:
        replies.append(reply)
    return replies
