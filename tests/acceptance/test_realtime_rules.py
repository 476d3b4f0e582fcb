"""What a channel's rule may allow: publish, presence, joins, expiry, deltas, filters, short names; frame by frame."""

import asyncio
import json

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from protocols.control import CONTROL_CHANNEL, DisconnectSession, SubscribeUser, UnsubscribeUser
from protocols.topics import Entry
from protocols.wire import centrifuge_pb2
from realtime.channels.delta import apply_delta
from realtime.limits import Limits
from realtime.ports import ChannelRule, Lane
from tests.acceptance.test_realtime_protocol import Talker
from tests.support.realtime_app import running_app
from tests.support.waiting import until

pb = centrifuge_pb2


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app():
    limits = Limits(tick_s=0.02, expiry_grace_s=0.2, presence_members_max=2, publish_bytes_max=1_000)
    async with running_app(limits) as app:
        yield app


class Visitor(Talker):
    """A connected client and what the server told it about itself."""

    def __init__(self, ws, client, user):
        super().__init__(ws)
        self.client, self.user = client, user
        self.commands = 10

    async def call(self, **request):
        self.commands += 1
        return await self.ask(self.commands, **request)

    async def enter(self, channel, **options):
        answer = await self.call(subscribe={"channel": channel, **options})
        assert "error" not in answer, answer
        return answer["subscribe"]

    async def push(self, kind):
        """The next push of a kind; others are dropped."""
        while True:
            push = (await self.next()).get("push", {})
            if kind in push:
                return push

    async def publications(self, count):
        return [(await self.push("pub"))["pub"] for _ in range(count)]

    async def settle(self):
        """Return once everything sent before has come, dropping it."""
        await self.call(rpc={"method": "echo", "data": 1})


@pytest_asyncio.fixture(loop_scope="module")
async def visit(app):
    opened = []

    async def come(user="", session="s"):
        ws = await connect(app.url, compression=None)
        opened.append(ws)
        talker = Talker(ws)
        answer = await talker.ask(1, connect={"token": f"{user}:{session}"} if user else {})
        return Visitor(ws, answer["connect"]["client"], user)

    yield come
    for ws in opened:
        await ws.close()


# Publish.


async def test_publish_reaches_the_application_with_who_says_it(app, visit):
    one = await visit("amina")
    await one.enter("rooms:publish")
    assert (await one.call(publish={"channel": "rooms:publish", "data": {"a": 1}}))["publish"] == {}
    channel, data, info = app.application.published[-1]
    assert (channel, json.loads(data)) == ("rooms:publish", {"a": 1})
    assert json.loads(info) == {"user": "amina", "client": one.client}


async def test_publish_without_permission_is_refused_103(visit):
    one = await visit("amina")
    await one.enter("auctions:publish")
    assert (await one.call(publish={"channel": "auctions:publish", "data": 1}))["error"]["code"] == 103


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"channel": "rooms:p"}, 107),
        ({"channel": "rooms:p", "data": "x" * 1_000}, 106),
        ({"channel": "", "data": 1}, 107),
        ({"channel": "rooms:p", "data": 1, "type": 1}, 108),
        ({"channel": "rooms:p", "data": 1, "key": "k"}, 108),
        ({"channel": "nowhere:p", "data": 1}, 102),
        ({"channel": "secret:p", "data": 1}, 103),
    ],
)
async def test_publish_that_makes_no_sense_is_refused(app, visit, request_, code):
    one = await visit("amina")
    before = len(app.application.published)
    assert (await one.call(publish=request_))["error"]["code"] == code
    assert len(app.application.published) == before


async def test_protobuf_client_cannot_publish_what_is_no_json(app):
    async with connect(app.url, compression=None, subprotocols=["centrifuge-protobuf"]) as ws:
        for command in (
            pb.Command(id=1, connect=pb.ConnectRequest()),
            pb.Command(id=2, publish=pb.PublishRequest(channel="rooms:raw", data=b"\xff{")),
        ):
            message = command.SerializeToString()
            await ws.send(bytes([len(message)]) + message)
            answer = await ws.recv()
        assert pb.Reply.FromString(answer[1:]).error.code == 107


# Presence, joins and leaves.


async def test_presence_lists_and_counts_who_subscribes(visit):
    one, two = await visit("amina"), await visit("amina", "t")
    await one.enter("rooms:presence")
    await two.enter("rooms:presence")
    told = (await one.call(presence={"channel": "rooms:presence"}))["presence"]["presence"]
    assert told == {v.client: {"user": "amina", "client": v.client} for v in (one, two)}
    stats = (await one.call(presence_stats={"channel": "rooms:presence"}))["presence_stats"]
    assert stats == {"num_clients": 2, "num_users": 1}
    await two.ws.close()
    await one.push("leave")
    assert list((await one.call(presence={"channel": "rooms:presence"}))["presence"]["presence"]) == [
        one.client
    ]
    await one.call(unsubscribe={"channel": "rooms:presence"})
    stats = (await one.call(presence_stats={"channel": "rooms:presence"}))["presence_stats"]
    assert stats == {"num_clients": 0, "num_users": 0}


async def test_presence_of_many_is_counted_not_listed(visit):
    clients = [await visit("amina", str(n)) for n in range(3)]
    for one in clients:
        await one.enter("rooms:many")
    assert (await clients[0].call(presence={"channel": "rooms:many"}))["error"]["code"] == 106
    stats = (await clients[0].call(presence_stats={"channel": "rooms:many"}))["presence_stats"]
    assert stats["num_clients"] == 3


async def test_presence_is_not_available_where_the_rule_keeps_none(visit):
    one = await visit("amina")
    await one.enter("auctions:presence")
    for question in ("presence", "presence_stats"):
        assert (await one.call(**{question: {"channel": "auctions:presence"}}))["error"]["code"] == 108


async def test_join_comes_behind_the_own_answer_and_leave_goes_to_those_who_stay(visit):
    one, two = await visit("amina"), await visit("badu")
    await one.send({"id": 2, "subscribe": {"channel": "rooms:joins"}})
    assert "subscribe" in await one.next()
    assert (await one.next())["push"]["join"]["info"] == {"user": "amina", "client": one.client}
    await two.enter("rooms:joins", flag=1)
    joined = await one.push("join")
    assert (joined["channel"], joined["join"]["info"]["client"]) == ("rooms:joins", two.client)
    await two.call(unsubscribe={"channel": "rooms:joins"})
    assert (await one.push("leave"))["leave"]["info"] == {"user": "badu", "client": two.client}


async def test_presence_that_cannot_be_told_is_told_again(app, visit):
    one = await visit("amina")
    app.presence.failing = True
    await one.enter("rooms:away")
    await app.hub.presence_tracker.settled()
    app.presence.failing = False
    assert (await one.call(presence={"channel": "rooms:away"}))["presence"]["presence"] == {}
    async with running_app(Limits(presence_repeat_s=0.05)) as quick:
        quick.presence.failing = True
        async with connect(quick.url, compression=None) as ws:
            talker = Talker(ws)
            await talker.ask(1, connect={})
            await talker.ask(2, subscribe={"channel": "rooms:away"})
            await quick.hub.presence_tracker.settled()
            quick.presence.failing = False
            await asyncio.sleep(0.2)
            assert (await quick.presence.count("rooms:away"))[0] == 1

        async def nobody_is_there():
            return (await quick.presence.count("rooms:away"))[0] == 0

        await until(nobody_is_there)


# Subscription tokens, and the server's own hand.


async def test_subscription_that_expires_ends_with_2501(visit):
    one = await visit("amina")
    state = await one.enter("rooms:short", token="ttl=1")
    assert (state["expires"], state["ttl"]) == (True, 1)
    assert (await one.push("unsubscribe"))["unsubscribe"]["code"] == 2501
    assert "subscribe" in await one.call(subscribe={"channel": "rooms:short"})


async def test_refreshed_subscription_lives_on(visit):
    one = await visit("amina")
    await one.enter("rooms:refreshed", token="ttl=1")
    fresh = (await one.call(sub_refresh={"channel": "rooms:refreshed", "token": "ttl=100"}))["sub_refresh"]
    assert fresh["expires"]
    assert 98 <= fresh["ttl"] <= 100
    await asyncio.sleep(1.5)
    assert (await one.call(subscribe={"channel": "rooms:refreshed"}))["error"]["code"] == 105


async def test_subscription_whose_time_is_past_is_refused_and_counts_nowhere(app, visit):
    one = await visit("amina")
    answer = await one.call(subscribe={"channel": "rooms:past", "token": "ttl=-5"})
    assert answer["error"] == {"code": 110, "message": "expired"}
    told = (await one.call(presence_stats={"channel": "rooms:past"}))["presence_stats"]
    assert told == {"num_clients": 0, "num_users": 0}
    assert "rooms:past" not in app.hub.channels or not app.hub.channels["rooms:past"].in_use()


async def test_refresh_of_a_subscription_with_an_expired_token_lets_the_client_subscribe_again(visit):
    one = await visit("amina")
    await one.enter("rooms:late", token="ttl=100")
    await one.send({"id": 900, "sub_refresh": {"channel": "rooms:late", "token": "ttl=-5"}})
    assert (await one.push("unsubscribe"))["unsubscribe"] == {"code": 2501, "reason": "subscription expired"}
    assert (await one.next())["error"]["temporary"]
    await one.enter("rooms:late", token="ttl=100")


async def test_refresh_of_what_is_not_subscribed_is_refused(visit):
    one = await visit("amina")
    assert (await one.call(sub_refresh={"channel": "rooms:none", "token": ""}))["error"]["code"] == 103
    assert (await one.call(sub_refresh={"channel": "rooms:none", "type": 1}))["error"]["code"] == 108


async def test_server_subscribes_and_unsubscribes_a_user(app, visit):
    one, two = await visit("chidi"), await visit("chidi", "t")
    await two.enter("rooms:server")
    app.control(SubscribeUser("chidi", "rooms:server"))
    push = await one.push("subscribe")
    assert push["channel"] == "rooms:server"
    assert (push["subscribe"]["recoverable"], push["subscribe"]["positioned"]) == (True, True)
    assert push["subscribe"]["epoch"] == app.log.epoch
    app.commit("rooms:server", "1")
    for visitor in (one, two):
        assert [pub["data"] for pub in await visitor.publications(1)] == [1]
    assert (await one.call(unsubscribe={"channel": "rooms:server"}))["error"]["code"] == 103
    app.control(UnsubscribeUser("chidi", "rooms:server"), UnsubscribeUser("chidi", "rooms:server"))
    for visitor in (one, two):
        told = (await visitor.push("unsubscribe"))["unsubscribe"]
        assert told == {"code": 2000, "reason": "server unsubscribe"}
    assert "subscribe" in await one.call(subscribe={"channel": "rooms:server"})


async def test_control_subscribes_nobody_to_what_the_application_refuses(app, visit):
    one = await visit("zuri")
    app.control(SubscribeUser("zuri", "secret:1"), SubscribeUser("zuri", "rooms:allowed"))
    assert (await one.push("subscribe"))["channel"] == "rooms:allowed"
    assert (await one.call(subscribe={"channel": "rooms:allowed"}))["error"]["code"] == 105
    assert (await one.call(subscribe={"channel": "secret:1"}))["error"]["code"] == 103


async def test_control_of_another_version_is_passed_over(app, visit):
    one = await visit("zola", "zolas")
    app.bus.publish([(CONTROL_CHANNEL, [Entry(0, b"\x93nonsense", 0)])])
    app.control(DisconnectSession("zolas", 4501, "session over"))
    assert (await one.push("disconnect"))["disconnect"] == {"code": 4501, "reason": "session over"}


# Deltas.

LONG = "é" * 100


def lot(number):
    return json.dumps({"head": number, "long": LONG, "tail": -number}, ensure_ascii=False)


def assemble(pubs, base=None):
    """The payloads of a subscription with delta, as a client puts them together."""
    found = []
    for pub in pubs:
        data = pub["data"].encode()
        base = apply_delta(base, data) if pub.get("delta") else data
        found.append(json.loads(base)["head"])
    return found


async def test_delta_readers_get_the_first_whole_then_differences_and_others_notice_nothing(app, visit):
    one, two, plain = await visit(), await visit(), await visit()
    assert (await one.enter("rooms:delta", delta="fossil"))["delta"]
    assert "delta" not in await plain.enter("rooms:delta")
    app.commit("rooms:delta", lot(1), lot(2))
    first = await one.publications(2)
    await two.enter("rooms:delta", delta="fossil")
    app.commit("rooms:delta", lot(3))
    app.commit("rooms:delta", lot(4), lot(5))
    mine = first + await one.publications(3)
    assert [pub.get("delta", False) for pub in mine] == [False, True, True, True, True]
    assert assemble(mine) == [1, 2, 3, 4, 5]
    late = await two.publications(3)
    assert [pub.get("delta", False) for pub in late] == [False, True, True]
    assert assemble(late) == [3, 4, 5]
    assert [pub["data"]["head"] for pub in await plain.publications(5)] == [1, 2, 3, 4, 5]
    assert len(json.dumps(mine[1])) < len(lot(1))


async def test_recovered_publications_are_chained_and_so_is_what_follows(app, visit):
    one = await visit()
    app.commit("rooms:chain", *map(lot, range(1, 5)))
    state = await one.enter("rooms:chain", delta="fossil", recover=True, offset=1, epoch=app.log.epoch)
    assert [pub.get("delta", False) for pub in state["publications"]] == [False, True, True]
    app.commit("rooms:chain", lot(5))
    live = await one.publications(1)
    assert live[0]["delta"]
    assert assemble(state["publications"] + live) == [2, 3, 4, 5]
    two = await visit()
    state = await two.enter("rooms:chain", delta="fossil", recover=True, offset=5, epoch=app.log.epoch)
    assert state["recovered"]
    app.commit("rooms:chain", lot(6))
    assert assemble(await two.publications(1)) == [6]
    assert assemble(await one.publications(1), lot(5).encode()) == [6]


async def test_history_has_no_deltas(app, visit):
    one = await visit()
    await one.enter("rooms:history", delta="fossil")
    app.commit("rooms:history", lot(1), lot(2))
    page = (await one.call(history={"channel": "rooms:history", "limit": 10}))["history"]
    assert [pub["data"]["head"] for pub in page["publications"]] == [1, 2]


async def test_delta_is_not_given_where_the_rule_has_none_or_its_name_is_unknown(visit):
    one = await visit()
    assert "delta" not in await one.enter("auctions:nodelta", delta="fossil")
    assert "delta" not in await one.enter("rooms:nodelta", delta="xdelta")


# Tags filter.

SALE = {"key": "kind", "cmp": "eq", "val": "sale"}


async def test_filter_lets_through_what_it_says_and_the_position_advances(app, visit):
    one, other, all_of_it = await visit(), await visit(), await visit()
    await one.enter("rooms:tags", tf=SALE)
    await other.enter("rooms:tags", tf=SALE)
    await all_of_it.enter("rooms:tags")
    app.commit_tagged("rooms:tags", ("1", {"kind": "bid"}), ("2", {"kind": "sale"}), ("3", {"kind": "bid"}))
    app.commit_tagged("rooms:tags", ("4", {"kind": "sale"}))
    for visitor in (one, other):
        assert [(p["data"], p["offset"]) for p in await visitor.publications(2)] == [(2, 2), (4, 4)]
    assert [pub["data"] for pub in await all_of_it.publications(4)] == [1, 2, 3, 4]
    late = await visit()
    state = await late.enter("rooms:tags", tf=SALE, recover=True, epoch=app.log.epoch)
    assert [(p["data"], p["tags"]) for p in state["publications"]] == [
        (2, {"kind": "sale"}),
        (4, {"kind": "sale"}),
    ]


@pytest.mark.parametrize(
    ("channel", "options"),
    [
        ("auctions:tags", {"tf": SALE}),
        ("rooms:badtags", {"tf": {"op": "xor"}}),
        ("rooms:badtags", {"tf": SALE, "delta": "fossil"}),
    ],
)
async def test_filter_that_is_not_allowed_or_means_nothing_is_refused_107(app, visit, channel, options):
    one = await visit()
    assert (await one.call(subscribe={"channel": channel, **options}))["error"]["code"] == 107
    assert "subscribe" in await one.call(subscribe={"channel": channel})


# Short channel names.


async def test_compacted_pushes_name_the_channel_by_its_number(app, visit):
    one, plain = await visit(), await visit()
    number = (await one.enter("rooms:short-name", flag=1))["id"]
    assert "id" not in await plain.enter("rooms:short-name")
    await one.settle()
    app.commit("rooms:short-name", "1")
    push = await one.push("pub")
    assert (push["id"], "channel" in push) == (number, False)
    assert (await plain.push("pub"))["channel"] == "rooms:short-name"
    await one.call(unsubscribe={"channel": "rooms:short-name"})
    app.commit("rooms:short-name", "2")
    await plain.push("pub")
    await one.send({"id": 99, "rpc": {"method": "echo", "data": 1}})
    assert (await one.next())["id"] == 99


async def test_compaction_is_not_given_where_the_rule_has_none(visit):
    assert "id" not in await (await visit()).enter("auctions:long-name", flag=1)


# Types, kept history.


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
async def test_map_and_shared_poll_subscriptions_are_not_available(visit, kind):
    one = await visit()
    assert (await one.call(subscribe={"channel": "rooms:map", "type": kind}))["error"]["code"] == 108


async def test_rule_bounds_how_far_recovery_and_history_reach_back(app, visit, monkeypatch):
    small = ChannelRule(Lane.REPLAYED, history_size=2)

    async def authorize(identity, channel, token=""):
        return small

    monkeypatch.setattr(app.application, "authorize", authorize)
    app.commit("rooms:small", *"12345")
    one = await visit()
    for offset, recovered in ((2, False), (3, True)):
        where = {"channel": "rooms:small", "recover": True, "offset": offset, "epoch": app.log.epoch}
        state = (await one.call(subscribe=where))["subscribe"]
        assert state.get("recovered", False) is recovered
        await one.call(unsubscribe={"channel": "rooms:small"})
    refused = await one.call(subscribe={**where, "offset": 1, "flag": 3})
    assert refused["error"]["code"] == 112
    for reverse, numbers in ((False, [4, 5]), (True, [5, 4])):
        question = {"channel": "rooms:small", "limit": -1, "reverse": reverse}
        page = (await one.call(history=question))["history"]
        assert [pub["offset"] for pub in page["publications"]] == numbers


async def test_a_latest_channel_has_no_history(visit):
    one = await visit()
    assert (await one.call(history={"channel": "ticker:none", "limit": 1}))["error"]["code"] == 108


async def test_channel_without_forced_recovery_gives_a_position_only_to_who_asks(app, visit, monkeypatch):
    loose = ChannelRule(Lane.REPLAYED, recovery=False)

    async def authorize(identity, channel, token=""):
        return loose

    monkeypatch.setattr(app.application, "authorize", authorize)
    app.commit("rooms:loose", "1")
    one, two = await visit(), await visit()
    assert await one.enter("rooms:loose") == {}
    assert (await two.enter("rooms:loose", recoverable=True))["offset"] == 1
