"""Connects with and without a task: the same answers, whatever they wait for, and nothing left behind."""

import asyncio
import json

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from realtime.connection import connecting
from realtime.ports import ChannelRule, Lane
from tests.support.realtime_app import running_app


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=[False, True], ids=["at once", "in a task"]
)
async def app(request):
    async with running_app() as app:
        app.application.needs_io = request.param
        yield app


async def answer_to(app, token, **request):
    """The first message after a connect, and the client's next: a pong must be served behind it."""
    async with connect(app.url) as ws:
        await ws.send(json.dumps({"id": 1, "connect": {"token": token, **request}}))
        answer = json.loads(await asyncio.wait_for(ws.recv(), 3))
        if "connect" in answer:
            await ws.send('{"id":2,"rpc":{"method":"echo","data":7}}')
            assert json.loads(await asyncio.wait_for(ws.recv(), 3))["rpc"]["data"] == 7
    return answer


async def nobody_is_left(app):
    async with asyncio.timeout(3):
        while app.hub.connections or app.hub.admission.connects:
            await asyncio.sleep(0.005)
    assert not any(channel.pins or channel.audience for channel in app.hub.channels.values())


async def no_channel_is_open(app):
    """Close the idle channels: the next subscriber opens them anew."""
    await nobody_is_left(app)
    await app.hub._close_idle_before(app.hub.loop.time())
    assert not app.hub.channels


async def test_a_user_gets_the_personal_channel_and_nobody_gets_none(app):
    answer = await answer_to(app, "u1:s1:600")
    assert list(answer["connect"]["subs"]) == ["personal:#u1"]
    assert 590 < answer["connect"]["ttl"] <= 600
    assert "subs" not in (await answer_to(app, ""))["connect"]
    await nobody_is_left(app)


async def test_a_returning_client_gets_what_it_missed_of_its_personal_channel(app):
    app.commit("personal:#u2", "1", "2", "3")
    position = {"recover": True, "epoch": "e1", "offset": 1}
    for _ in range(2):  # from the log first, then from memory
        answer = await answer_to(app, "u2:s2", subs={"personal:#u2": position})
        subscription = answer["connect"]["subs"]["personal:#u2"]
        assert subscription["recovered"]
        assert [publication["data"] for publication in subscription["publications"]] == [2, 3]
    ahead = {"personal:#u2": {**position, "offset": 9}}
    assert not (await answer_to(app, "u2:s2", subs=ahead))["connect"]["subs"]["personal:#u2"].get("recovered")
    await nobody_is_left(app)


async def test_several_personal_channels_open_together_or_not_at_all(app, monkeypatch):
    def two(identity):
        return [
            (f"personal:#{identity.user}", ChannelRule(Lane.REPLAYED)),
            ("ticker:1", ChannelRule(Lane.LATEST)),
        ]

    monkeypatch.setattr(app.application, "personal_channels", two)
    app.commit("personal:#u7", "1", "2")
    missed = {"personal:#u7": {"recover": True, "epoch": "e1", "offset": 1}}
    subs = (await answer_to(app, "u7:s7", subs=missed))["connect"]["subs"]
    assert list(subs) == ["personal:#u7", "ticker:1"]
    assert [publication["data"] for publication in subs["personal:#u7"]["publications"]] == [2]

    async def away(_channel):
        raise ConnectionError("the value cannot be read")

    monkeypatch.setattr(app.log, "newest", away)
    await no_channel_is_open(app)
    assert (await answer_to(app, "u8:s8"))["error"]["temporary"]
    await nobody_is_left(app)


async def test_a_token_that_is_over_is_told_so(app):
    assert (await answer_to(app, "expired"))["error"]["code"] == 109
    await nobody_is_left(app)


@pytest.mark.parametrize("broken", ["bus", "log"])
async def test_a_channel_that_cannot_open_is_a_temporary_error(app, broken):
    part = getattr(app, broken)
    part.failing = True
    try:
        answer = await answer_to(app, f"u3{broken}:s3")
    finally:
        part.failing = False
    assert answer["error"] == {"code": 100, "message": "internal server error", "temporary": True}
    assert "connect" in await answer_to(app, f"u3{broken}:s3")
    await nobody_is_left(app)


async def test_history_that_cannot_be_read_is_a_temporary_error(app, monkeypatch):
    app.commit("personal:#u4", "1", "2")

    async def away(*_):
        raise ConnectionError("log is away")

    monkeypatch.setattr(app.log, "read_backward", away)
    answer = await answer_to(app, "u4:s4", subs={"personal:#u4": {"recover": True, "offset": 0}})
    assert answer["error"]["temporary"]
    await nobody_is_left(app)


async def test_a_channel_that_opens_too_late_is_a_temporary_error(app, monkeypatch):
    monkeypatch.setattr(connecting, "ANSWER_WITHIN_S", 0.05)
    monkeypatch.setattr(app.bus, "delay_s", 0.3)
    assert (await answer_to(app, "u5:s5"))["error"]["temporary"]
    await nobody_is_left(app)


async def test_who_leaves_while_its_channel_opens_leaves_nothing(app, monkeypatch):
    monkeypatch.setattr(app.bus, "delay_s", 0.1)
    ws = await connect(app.url)
    await ws.send('{"id":1,"connect":{"token":"u6:s6"}}')
    async with asyncio.timeout(3):
        while "personal:#u6" not in app.hub.channels:
            await asyncio.sleep(0.005)
    ws.transport.abort()
    await nobody_is_left(app)


async def test_those_who_leave_at_once_are_forgotten_in_their_turn(app, monkeypatch):
    line = []
    many = [await connect(app.url) for _ in range(5)]
    for ws in many:
        await ws.send('{"id":1,"connect":{}}')
        await ws.recv()
    monkeypatch.setattr(app.hub.admission, "enqueue", line.append)
    for ws in many:
        ws.transport.write_eof()
    async with asyncio.timeout(3):
        while len(line) < len(many):
            await asyncio.sleep(0.005)
    assert len(app.hub.connections) == len(many)
    for step in line:
        step()
    assert not app.hub.connections
    for ws in many:
        ws.transport.abort()
