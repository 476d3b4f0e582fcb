"""The official Python SDK, unmodified, in both formats, against the running server."""

import asyncio
import json

import pytest
import pytest_asyncio
from centrifuge import (
    CentrifugeError,
    Client,
    ClientEventHandler,
    ReplyError,
    StreamPosition,
    SubscriptionEventHandler,
)

from realtime.limits import Limits
from tests.support.realtime_app import running_app
from tests.support.waiting import until


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app():
    limits = Limits(ping_s=1.0, pong_timeout_s=0.5, tick_s=0.05, expiry_grace_s=1.5, connect_timeout_s=0.5)
    async with running_app(limits) as app:
        yield app


json_first = pytest.mark.parametrize(
    "protobuf", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["json", "protobuf"], indirect=True
)
"""Of what takes seconds, one codec in the first tier."""


@pytest.fixture(params=[False, True], ids=["json", "protobuf"])
def protobuf(request):
    return request.param


class Events(ClientEventHandler):
    def __init__(self):
        self.connected, self.disconnected, self.publications, self.subscribed = [], [], [], []

    async def on_connected(self, ctx):
        self.connected.append(ctx)

    async def on_disconnected(self, ctx):
        self.disconnected.append(ctx)

    async def on_publication(self, ctx):
        self.publications.append((ctx.channel, ctx.pub.offset))

    async def on_subscribed(self, ctx):
        self.subscribed.append(ctx)


class Following(SubscriptionEventHandler):
    def __init__(self):
        self.numbers, self.data, self.subscribed, self.unsubscribed, self.errors = [], [], [], [], []

    async def on_publication(self, ctx):
        self.numbers.append(ctx.pub.offset)
        self.data.append(ctx.pub.data)

    async def on_subscribed(self, ctx):
        self.subscribed.append(ctx)

    async def on_unsubscribed(self, ctx):
        self.unsubscribed.append(ctx)

    async def on_error(self, ctx):
        self.errors.append(ctx)


async def make_client(app, protobuf, token="", **more):
    client = Client(app.url, events=Events(), token=token, use_protobuf=protobuf, proxy=None, **more)
    await client.connect()
    await client.ready(timeout=3)
    return client


async def cut(app, client):
    """Lose the connection without a goodbye."""
    id_ = client.events.connected[-1].client
    [connection] = [c for c in app.hub.connections if c.client == id_]
    connection.socket.transport.abort()


async def test_publications_arrive_in_order_with_their_data(app, protobuf):
    client = await make_client(app, protobuf)
    channel = f"auctions:order-{protobuf}"
    events = Following()
    sub = client.new_subscription(channel, events=events)
    await sub.subscribe()
    await until(lambda: events.subscribed)
    for number in range(1, 201):
        app.commit(channel, f'{{"n":{number},\n"t":"ü"}}')
        if number % 17 == 0:
            await asyncio.sleep(0)
    await until(lambda: len(events.numbers) == 200)
    assert events.numbers == list(range(1, 201))
    if not protobuf:
        assert events.data[6] == {"n": 7, "t": "ü"}
    await client.disconnect()


@pytest.mark.parametrize("missed", [0, 1, 1500])
async def test_recovery_after_a_cut_brings_every_number_once(app, protobuf, missed):
    client = await make_client(app, protobuf, min_reconnect_delay=0.05, max_reconnect_delay=0.1)
    channel = f"auctions:cut-{protobuf}-{missed}"
    events = Following()
    sub = client.new_subscription(channel, events=events)
    await sub.subscribe()
    await until(lambda: events.subscribed)
    app.commit(channel, *["{}"] * 5)
    await until(lambda: len(events.numbers) == 5)
    await cut(app, client)
    if missed:
        app.commit(channel, *["{}"] * missed)
    await until(lambda: len(events.subscribed) == 2)
    assert events.subscribed[1].recovered
    app.commit(channel, "{}")
    await until(lambda: len(events.numbers) == 6 + missed)
    assert events.numbers == list(range(1, 7 + missed))
    await client.disconnect()


@pytest.mark.parametrize("offset", [0, 1, 37, 100])
async def test_recovery_works_from_any_offset(app, protobuf, offset):
    channel = "auctions:any"
    if channel not in app.log.streams:
        app.commit(channel, *["{}"] * 100)
    client = await make_client(app, protobuf)
    events = Following()

    async def get_state(_channel):
        return StreamPosition(offset=offset, epoch="e1")

    sub = client.new_subscription(channel, events=events, get_state=get_state)
    await sub.subscribe()
    await until(lambda: events.subscribed and len(events.numbers) == 100 - offset)
    assert events.numbers == list(range(offset + 1, 101))
    assert events.subscribed[0].recovered
    assert events.subscribed[0].was_recovering
    await client.disconnect()


async def test_sdk_asks_for_state_again_when_its_position_is_of_another_epoch(app, protobuf):
    channel = "auctions:epoch"
    if channel not in app.log.streams:
        app.commit(channel, *["{}"] * 10)
    client = await make_client(app, protobuf)
    events = Following()
    asked = []

    async def get_state(_channel):
        asked.append(1)
        return StreamPosition(offset=7, epoch="other" if len(asked) == 1 else "e1")

    sub = client.new_subscription(channel, events=events, get_state=get_state)
    await sub.subscribe()
    await until(lambda: len(events.numbers) == 3)
    assert events.numbers == [8, 9, 10]
    assert len(asked) == 2
    await client.disconnect()


async def test_personal_channel_is_subscribed_by_the_server_and_recovered(app, protobuf):
    user = f"anna{protobuf}"
    client = await make_client(
        app, protobuf, token=f"{user}:s1", min_reconnect_delay=0.05, max_reconnect_delay=0.1
    )
    channel = f"personal:#{user}"
    assert [ctx.channel for ctx in client.events.subscribed] == [channel]
    app.commit(channel, "{}", "{}")
    await until(lambda: len(client.events.publications) == 2)
    await cut(app, client)
    app.commit(channel, "{}", "{}")
    await until(lambda: len(client.events.publications) == 4)
    assert client.events.publications == [(channel, number) for number in range(1, 5)]
    assert client.events.subscribed[-1].recovered
    await client.disconnect()


async def test_history_pages_forward_and_backward(app, protobuf):
    channel = f"auctions:history-{protobuf}"
    app.commit(channel, *["{}"] * 1200)
    client = await make_client(app, protobuf)
    sub = client.new_subscription(channel)
    await sub.subscribe()
    await sub.ready(timeout=3)

    async def page(**options):
        result = await sub.history(**options)
        return result.offset, [pub.offset for pub in result.publications]

    assert await page() == (1200, [])
    assert await page(limit=3) == (1200, [1, 2, 3])
    assert await page(limit=-1) == (1200, list(range(1, 1001)))
    assert await page(limit=2, since=StreamPosition(1000, "e1")) == (1200, [1001, 1002])
    assert await page(limit=2, reverse=True) == (1200, [1200, 1199])
    assert await page(limit=5, since=StreamPosition(3, "e1"), reverse=True) == (1200, [2, 1])
    with pytest.raises(ReplyError) as caught:
        await page(limit=1, since=StreamPosition(3, "other"))
    assert caught.value.code == 112
    await client.disconnect()


async def test_rpc_answers_at_once_later_and_with_errors(app, protobuf):
    client = await make_client(app, protobuf, token="ben:s")
    data = b'{"a":[1,2]}' if protobuf else {"a": [1, 2]}
    for method in ("echo", "later"):
        assert (await client.rpc(method, data)).data == data
    for method, code in {"refuse": 602, "break": 100, "nothing": 104}.items():
        with pytest.raises(ReplyError) as caught:
            await client.rpc(method, data)
        assert caught.value.code == code
    told = (await client.rpc("refuse.reply", data)).data
    assert (json.loads(told) if protobuf else told) == {"refusal": {"minimum_bid": 1250}}
    answers = await asyncio.gather(*(client.rpc("later", data) for _ in range(300)))
    assert len(answers) == 300
    await client.disconnect()


async def test_latest_channel_recovers_its_newest_value(app, protobuf):
    channel = f"ticker:{protobuf}"
    for number in range(1, 6):
        app.show(channel, number, "{}")
    client = await make_client(app, protobuf)
    events = Following()

    async def get_state(_channel):
        return StreamPosition(offset=0, epoch="")

    sub = client.new_subscription(channel, events=events, get_state=get_state)
    await sub.subscribe()
    await until(lambda: events.numbers)
    assert events.numbers == [5]
    assert events.subscribed[0].recovered
    await client.disconnect()


@pytest.mark.parametrize(("channel", "code"), [("secret:1", 103), ("nothing:1", 102), ("x" * 300, 107)])
async def test_refused_subscription_ends_with_its_code(app, protobuf, channel, code):
    client = await make_client(app, protobuf)
    events = Following()
    sub = client.new_subscription(channel, events=events)
    await sub.subscribe()
    await until(lambda: events.unsubscribed)
    assert events.unsubscribed[0].code == code
    await client.disconnect()


async def test_unsubscribed_channel_brings_nothing_more(app, protobuf):
    client = await make_client(app, protobuf)
    channel = f"auctions:leave-{protobuf}"
    events = Following()
    sub = client.new_subscription(channel, events=events)
    await sub.subscribe()
    await until(lambda: events.subscribed)
    await sub.unsubscribe()
    await client.rpc("echo", b"1" if protobuf else 1)
    app.commit(channel, "{}")
    await client.rpc("echo", b"1" if protobuf else 1)
    assert events.numbers == []
    assert not app.hub.channels[channel].audience
    await client.disconnect()


@pytest.mark.parametrize(("call", "code"), [("publish", 103), ("presence", 108), ("presence_stats", 108)])
async def test_parts_the_rule_does_not_allow_are_refused(app, protobuf, call, code):
    client = await make_client(app, protobuf)
    sub = client.new_subscription("auctions:parts")
    await sub.subscribe()
    await sub.ready(timeout=3)
    with pytest.raises(ReplyError) as caught:
        await (sub.publish(b"1" if protobuf else 1) if call == "publish" else getattr(sub, call)())
    assert caught.value.code == code
    await client.disconnect()


async def test_invalid_token_is_final(app, protobuf):
    client = Client(app.url, events=Events(), token="nonsense", use_protobuf=protobuf, proxy=None)
    await client.connect()
    await until(lambda: client.events.disconnected)
    assert client.events.disconnected[0].code == 3500


async def test_expired_token_is_replaced_by_the_sdk(app, protobuf):
    asked = []

    async def get_token():
        asked.append(1)
        return "expired" if len(asked) == 1 else "carl:s"

    client = Client(
        app.url,
        events=Events(),
        get_token=get_token,
        use_protobuf=protobuf,
        proxy=None,
        min_reconnect_delay=0.01,
        max_reconnect_delay=0.02,
    )
    await client.connect()
    await client.ready(timeout=3)
    assert len(asked) == 2
    await client.disconnect()


@json_first
async def test_sdk_refreshes_and_stays_connected(app, protobuf):
    asked = []

    async def get_token():
        asked.append(1)
        return f"dora{protobuf}:s:2"

    client = await make_client(app, protobuf, get_token=get_token)
    await until(lambda: len(asked) >= 2)
    assert len(client.events.connected) == 1
    await client.disconnect()


@json_first
async def test_pings_keep_the_sdk_connected(app, protobuf):
    client = await make_client(app, protobuf, max_server_ping_delay=1.0)
    await asyncio.sleep(2.5)
    assert len(client.events.connected) == 1
    await client.disconnect()


async def test_ended_session_is_disconnected_for_good(app, protobuf):
    client = await make_client(app, protobuf, token=f"eve{protobuf}:s9")
    other = await make_client(app, protobuf, token=f"eve{protobuf}:s8")
    assert app.hub.disconnect_session("s9", 4501, "session ended") == 1
    await until(lambda: client.events.disconnected)
    assert (client.events.disconnected[0].code, client.events.disconnected[0].reason) == (
        4501,
        "session ended",
    )
    assert (await other.rpc("echo", b"1" if protobuf else 1)).data
    await other.disconnect()


@json_first
async def test_drained_server_sends_clients_elsewhere(protobuf):
    async with running_app() as app:
        client = await make_client(app, protobuf)
        await app.hub.drain(0.1)
        await until(lambda: not app.hub.connections)
        with pytest.raises((CentrifugeError, TimeoutError)):
            await client.rpc("echo", b"1" if protobuf else 1)
        await client.disconnect()
