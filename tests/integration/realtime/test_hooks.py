"""Observers of connections and subscriptions: told of each once, with who and why; what they do harms nobody."""

import asyncio
import json

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from protocols.control import UnsubscribeUser
from realtime.hooks import Cause, Hooks
from realtime.limits import Limits
from server.process.metrics import Metrics
from tests.acceptance.test_realtime_protocol import Talker
from tests.support.realtime_app import running_app


class Ears:
    """Everything an app's hooks told."""

    def __init__(self, hooks: Hooks) -> None:
        self.hooks = hooks
        self.told: list = []
        for facts in ("connected", "subscribed", "unsubscribed", "disconnected"):
            getattr(hooks, facts).append(self.told.append)

    async def kinds(self, count: int) -> list[str]:
        """The kinds of the first facts, once there are so many."""
        async with asyncio.timeout(5):
            while len(self.told) < count:
                await asyncio.sleep(0.01)
        assert len(self.told) == count
        return [type(fact).__name__ for fact in self.told]


@pytest_asyncio.fixture
async def app():
    limits = Limits(tick_s=0.02, ping_s=0.4, pong_timeout_s=0.2, connect_timeout_s=0.3, expiry_grace_s=0.1)
    async with running_app(limits) as app:
        yield app


@pytest.fixture
def ears(app):
    return Ears(app.hub.hooks)


async def arrive(app, who="amina:s1"):
    talker = Talker(await connect(app.url, compression=None))
    answer = await talker.ask(1, connect={"token": who})
    return talker, answer["connect"]["client"]


async def test_every_step_of_a_visit_is_told_with_who_and_why(app, ears):
    talker, client = await arrive(app)
    await talker.ask(2, subscribe={"channel": "auctions:1"})
    await talker.ask(3, subscribe={"channel": "auctions:2"})
    await talker.ask(4, unsubscribe={"channel": "auctions:2"})
    await talker.ask(5, unsubscribe={"channel": "auctions:2"})  # nothing to end, nothing to tell
    await talker.ws.close(1001, "bye")
    assert await ears.kinds(8) == [
        "Connected",
        "Subscribed",
        "Subscribed",
        "Subscribed",
        "Unsubscribed",
        "Unsubscribed",
        "Unsubscribed",
        "Disconnected",
    ]
    assert {fact.client for fact in ears.told} == {client}
    assert {fact.identity.user for fact in ears.told} == {"amina"}
    assert [fact.channel for fact in ears.told[1:7]] == [
        "personal:#amina",
        "auctions:1",
        "auctions:2",
        "auctions:2",
        "personal:#amina",
        "auctions:1",
    ]
    assert [fact.cause for fact in ears.told[4:]] == ["client", "connection", "connection", "client"]
    assert ears.told[0].context.transport == "websocket"
    assert ears.told[-1].code == 1001


async def test_subscription_ended_by_the_server_says_so(app, ears):
    talker, _ = await arrive(app)
    await talker.ask(2, subscribe={"channel": "rooms:1"})
    await talker.ask(3, subscribe={"channel": "rooms:2", "token": "ttl=1"})
    app.control(UnsubscribeUser("amina", "rooms:1"))
    async with asyncio.timeout(5):
        while len(ears.told) < 6:
            await talker.send({})
            await asyncio.sleep(0.05)
    assert [(fact.channel, fact.cause) for fact in ears.told[4:]] == [
        ("rooms:1", "server"),
        ("rooms:2", "expired"),
    ]
    await talker.ws.close()


@pytest.mark.parametrize(
    ("sent", "code", "cause"),
    [
        ('{"id":2,"connect":{}}', 3501, Cause.FAULT),
        ("not json", 3501, Cause.FAULT),
        ('{"send":{"data":1}}', 3508, Cause.FAULT),
        (None, 3012, Cause.LOST),
    ],
    ids=["second connect", "no command", "send", "no pong"],
)
async def test_disconnect_by_the_server_has_its_code_and_cause(app, ears, sent, code, cause):
    talker, _ = await arrive(app, "")
    if sent is not None:
        await talker.ws.send(sent)
    assert await talker.goodbye() == code
    end = ears.told[-1]
    assert (end.code, end.cause) == (code, cause)
    assert end.reason


async def test_connection_that_never_connects_is_told_without_a_client(app, ears):
    async with connect(app.url, compression=None) as ws:
        assert await Talker(ws).goodbye() == 3502
    assert await ears.kinds(1) == ["Disconnected"]
    assert (ears.told[0].client, ears.told[0].cause) == ("", "fault")


async def test_connection_that_vanishes_is_lost(app, ears):
    talker, _ = await arrive(app, "")
    talker.ws.transport.abort()
    assert await ears.kinds(2) == ["Connected", "Disconnected"]
    assert (ears.told[1].cause, ears.told[1].code) == ("lost", 1006)


async def test_connection_cut_for_a_bad_frame_has_the_code_it_was_cut_with(app, ears):
    talker, _ = await arrive(app, "")
    talker.ws.transport.write(b"\x81\x01a")  # a client has to mask
    assert await ears.kinds(2) == ["Connected", "Disconnected"]
    assert (ears.told[1].cause, ears.told[1].code) == ("fault", 1002)
    await talker.ws.close()


async def test_client_without_a_websocket_leaves_by_ending_its_stream(app, ears):
    async with (
        httpx.AsyncClient(base_url=app.http_url, trust_env=False) as http,
        http.stream("POST", "/connection/http_stream", content=b'{"id":1,"connect":{}}') as answer,
    ):
        assert "connect" in json.loads(await anext(answer.aiter_lines()))
    assert await ears.kinds(2) == ["Connected", "Disconnected"]
    assert ears.told[0].context.transport == "http_stream"
    assert ears.told[1].cause == "client"


async def test_process_that_leaves_says_so():
    async with running_app() as app:
        ears = Ears(app.hub.hooks)
        talker, _ = await arrive(app, "")
        await app.hub.drain(0.05)
        assert await talker.goodbye() == 3001
    assert (ears.told[-1].cause, ears.told[-1].code) == ("shutdown", 3001)


async def test_observer_that_raises_harms_neither_the_client_nor_the_next_observer(app, caplog):
    def broken(fact):
        raise ZeroDivisionError(type(fact).__name__)

    for facts in ("connected", "subscribed", "unsubscribed", "disconnected"):
        getattr(app.hub.hooks, facts).append(broken)
    ears = Ears(app.hub.hooks)
    talker, _ = await arrive(app, "")
    assert "subscribe" in await talker.ask(2, subscribe={"channel": "auctions:1"})
    assert "unsubscribe" in await talker.ask(3, unsubscribe={"channel": "auctions:1"})
    await talker.ws.close()
    assert len(await ears.kinds(4)) == 4
    assert [r.exc_info[1].args[0] for r in caplog.records if r.message == "an observer failed"] == [
        "Connected",
        "Subscribed",
        "Unsubscribed",
        "Disconnected",
    ]
    assert not app.hub.connections


async def test_without_observers_no_fact_is_made(app, monkeypatch):
    def made(*_args):
        raise AssertionError("a fact was made for nobody")

    for name in ("Connected", "Subscribed", "Unsubscribed", "Disconnected"):
        monkeypatch.setattr(f"realtime.connection.connection.{name}", made)
    talker, _ = await arrive(app)
    assert "subscribe" in await talker.ask(2, subscribe={"channel": "auctions:1"})
    await talker.ws.close()
    async with asyncio.timeout(5):
        while app.hub.connections:
            await asyncio.sleep(0.01)


async def test_metrics_count_by_transport_cause_and_code(app):
    metrics = Metrics()
    metrics.follow_hooks(app.hub.hooks)
    talker, _ = await arrive(app)
    await talker.ask(2, subscribe={"channel": "auctions:1"})
    await talker.ws.close(4999, "a code of the client's own")
    talker, _ = await arrive(app, "")
    await talker.ws.send("not json")
    assert await talker.goodbye() == 3501
    async with asyncio.timeout(5):
        while app.hub.connections:
            await asyncio.sleep(0.01)
    metrics.sample()
    metrics.sample()
    shown = metrics.render().decode()
    for line in (
        'mnbara_connects_total{transport="websocket"} 2.0',
        'mnbara_disconnects_total{cause="client",code=""} 1.0',
        'mnbara_disconnects_total{cause="fault",code="3501"} 1.0',
        'mnbara_subscribes_total{kind="auctions"} 1.0',
        'mnbara_unsubscribes_total{cause="connection",kind="personal"} 1.0',
    ):
        assert line in shown
    assert "4999" not in shown
