"""The client protocol frame by frame: order, errors, disconnects, slow readers; JSON over a plain websocket client."""

import asyncio
import contextlib
import json
import socket
import time
from datetime import datetime

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from realtime.limits import Limits
from tests.support.realtime_app import running_app
from tests.support.waiting import until


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app():
    limits = Limits(ping_s=1.0, pong_timeout_s=0.3, tick_s=0.02, connect_timeout_s=0.3)
    async with running_app(limits) as app:
        yield app


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def calm():
    async with running_app() as app:
        yield app


class Talker:
    """Sends commands as one frame, reads replies and pushes one by one."""

    def __init__(self, ws):
        self.ws = ws
        self.waiting = []

    async def send(self, *commands):
        await self.ws.send("\n".join(json.dumps(command) for command in commands))

    async def next(self):
        while not self.waiting:
            async with asyncio.timeout(3):
                self.waiting = [json.loads(line) for line in (await self.ws.recv()).split("\n")]
            self.waiting = [message for message in self.waiting if message]
        return self.waiting.pop(0)

    async def ask(self, command_id, **request):
        await self.send({"id": command_id, **request})
        while (message := await self.next()).get("id") != command_id:
            pass
        return message

    async def goodbye(self):
        """The disconnect push and the close frame, which must agree."""
        pushes = []
        with contextlib.suppress(ConnectionClosed):
            while True:
                pushes.append(await self.next())
        told = pushes[-1]["push"]["disconnect"]
        assert (self.ws.close_code, self.ws.close_reason) == (told["code"], told["reason"])
        assert told["reason"]
        return told["code"]


@pytest_asyncio.fixture(loop_scope="module")
async def talker(calm):
    async with connect(calm.url, compression=None) as ws:
        yield Talker(ws)


async def joined(app, **options):
    ws = await connect(app.url, compression=None, **options)
    talker = Talker(ws)
    assert "connect" in await talker.ask(1, connect={})
    return talker


CONNECT = {"id": 1, "connect": {}}


async def test_a_connect_tells_the_servers_time_in_both_spellings(calm):
    async with connect(calm.url, compression=None) as ws:
        told = (await Talker(ws).ask(1, connect={}))["connect"]
    server_time_ms = datetime.fromisoformat(told["data"]["server_time"]).timestamp() * 1000
    assert round(server_time_ms) == told["time"]
    assert abs(server_time_ms - time.time() * 1000) < 5_000


UNLIMITED = Limits(commands=None, refusals=None)
"""Connections may send as fast as they can."""


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "x",
        "{}{}",
        "[]",
        json.dumps({"id": 1, "subscribe": {"channel": "auctions:1"}}),
        json.dumps({"id": 0, "connect": {}}),
        json.dumps({"id": 5}),
        "{}",
        json.dumps(CONNECT) + "\n" + json.dumps(CONNECT),
        json.dumps(CONNECT) + '\n{"id":2,"ping":{}}',
        json.dumps(CONNECT) + '\n{"id":2}',
        json.dumps(CONNECT) + '\n{"rpc":{"method":"echo"}}',
        json.dumps(CONNECT) + '\n{"rpc":{"method":7}}',
        "\n".join(["{}"] * 400),
    ],
)
async def test_client_that_breaks_the_protocol_is_disconnected_3501(talker, frame):
    await talker.ws.send(frame)
    assert await talker.goodbye() == 3501


async def test_send_is_not_available(talker):
    await talker.send(CONNECT, {"send": {"data": 1}})
    assert await talker.goodbye() == 3508


async def test_binary_frame_with_json_is_understood_and_with_garbage_refused(talker):
    await talker.ws.send(json.dumps(CONNECT).encode())
    assert "connect" in await talker.next()
    await talker.ws.send(b'{"id":2,"rpc":{"method":"echo","data":"\xff"}}')
    assert (await talker.next())["error"]["code"] == 107
    await talker.ws.send(b"\xff")
    assert await talker.goodbye() == 3501


async def test_a_bad_command_is_answered_and_ends_nothing(talker):
    bad = [
        '{"id":2,"rpc":{"method":"echo","data":"\\ud83d"}}',
        '{"rpc":{"method":"echo","data":' + "[" * 990 + "]" * 990 + '},"id":3}',
        '{"id":4,"rpc":{"method":7}}',
    ]
    await talker.ws.send("\n".join([json.dumps(CONNECT), *bad, '{"id":5,"rpc":{"method":"echo","data":5}}']))
    answers = [await talker.next() for _ in range(5)]
    assert [answer["id"] for answer in answers] == [1, 2, 3, 4, 5]
    assert [answer.get("error", {}).get("code") for answer in answers] == [None, 107, 107, 107, None]


async def test_of_a_frame_with_too_many_commands_the_first_are_served_the_others_refused_for_now(talker):
    await talker.ask(1, connect={})
    await talker.send(*({"id": n, "rpc": {"method": "echo", "data": n}} for n in range(2, 300)))
    answers = [await talker.next() for _ in range(298)]
    assert [answer["id"] for answer in answers] == list(range(2, 300))
    assert all(answer["rpc"] == {"data": answer["id"]} for answer in answers[:256])
    refused = {"code": 111, "message": "too many commands in a frame", "temporary": True}
    assert all(answer["error"] == refused for answer in answers[256:])
    await talker.send(*({"id": n} for n in range(600)))
    assert await talker.goodbye() == 3013


async def test_first_frame_is_served_strictly_in_order(calm, talker):
    calm.bus.delay_s = calm.log.delay_s = 0.02
    await talker.send(
        {"id": 1, "connect": {"token": "fay:s"}},
        {"id": 2, "subscribe": {"channel": "auctions:o1"}},
        {"id": 3, "rpc": {"method": "echo", "data": 1}},
        {"id": 4, "unsubscribe": {"channel": "auctions:o1"}},
        {"id": 5, "subscribe": {"channel": "auctions:o1"}},
        {"id": 6, "history": {"channel": "auctions:o1"}},
    )
    await talker.send({"id": 7, "rpc": {"method": "echo", "data": 2}})
    assert [(await talker.next())["id"] for _ in range(7)] == [1, 2, 3, 4, 5, 6, 7]
    calm.bus.delay_s = calm.log.delay_s = 0
    assert "auctions:o1" in calm.hub.channels


async def test_subscribes_in_a_row_are_prepared_together_and_answered_in_order(calm, talker):
    await talker.ask(1, connect={})
    names = [f"auctions:row{number}" for number in range(40)] + ["secret:1", "auctions:row3", "nothing", ""]
    calm.log.delay_s = 0.05
    started = asyncio.get_running_loop().time()
    await talker.send(
        *({"id": n, "subscribe": {"channel": name}} for n, name in enumerate(names, 2)),
        {"id": 100, "rpc": {"method": "echo"}},
    )
    answers = [await talker.next() for _ in range(len(names) + 1)]
    calm.log.delay_s = 0
    assert asyncio.get_running_loop().time() - started < 0.5
    assert [answer["id"] for answer in answers] == [*range(2, 2 + len(names)), 100]
    codes = [answer.get("error", {}).get("code") for answer in answers]
    assert codes == [None] * 40 + [103, 105, 102, 107, None]
    assert all(channel.pins == 0 for channel in calm.hub.channels.values())


async def test_recoveries_in_a_row_wait_until_the_client_has_read_the_earlier_ones(calm):
    names = [f"auctions:heavy{number}" for number in range(10)]
    for name in names:
        calm.commit(name, *[json.dumps("x" * 5000)] * 400)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", calm.port))
    raw.setblocking(False)
    ws = await connect(calm.url, compression=None, sock=raw, max_size=None)
    talker = Talker(ws)
    await talker.ask(1, connect={})
    ws.transport.pause_reading()
    await talker.send(
        *({"id": n, "subscribe": {"channel": name, "recover": True}} for n, name in enumerate(names, 2))
    )
    for _ in range(50):
        await asyncio.sleep(0.01)
        assert max(connection.unsent() for connection in calm.hub.connections) < 5_000_000
    ws.transport.resume_reading()
    for n in range(2, 12):
        answer = await talker.next()
        assert (answer["id"], len(answer["subscribe"]["publications"])) == (n, 400)
    await ws.close()


async def test_session_that_ends_while_its_connection_is_opening_does_not_get_in(calm, talker):
    calm.log.delay_s = 0.5
    await talker.send({"id": 1, "connect": {"token": "nia:s5"}})
    await until(lambda: calm.hub.disconnect_session("s5", 4501, "session ended") == 1)
    assert await talker.goodbye() == 4501
    calm.log.delay_s = 0
    await until(lambda: not calm.hub.channels["personal:#nia"].in_use())


async def test_after_a_refused_connect_nothing_is_served(app):
    async with connect(app.url, compression=None) as ws:
        talker = Talker(ws)
        calls = len(app.application.calls)
        await talker.send({"id": 1, "connect": {"token": "expired"}}, {"id": 2, "rpc": {"method": "echo"}})
        assert (await talker.next())["error"]["code"] == 109
        assert await talker.goodbye() == 3502  # nothing came for the connect timeout
        assert len(app.application.calls) == calls


async def test_frames_behind_a_refused_connect_are_ignored_within_a_budget(calm, talker):
    assert (await talker.ask(1, connect={"token": "expired"}))["error"]["code"] == 109
    calls = len(calm.application.calls)
    for _ in range(400):
        await talker.send({"id": 2, "connect": {}}, {"id": 3, "rpc": {"method": "echo"}})
    assert await talker.goodbye() == 3013
    assert len(calm.application.calls) == calls


async def test_client_that_never_connects_is_stale(app):
    async with connect(app.url, compression=None) as ws:
        assert await Talker(ws).goodbye() == 3502


async def test_client_that_does_not_pong_is_disconnected(app):
    talker = await joined(app)
    started = asyncio.get_running_loop().time()
    assert await talker.goodbye() == 3012
    assert asyncio.get_running_loop().time() - started < 2


async def test_a_channel_that_needs_it_is_pinged_sooner_and_a_missing_pong_ends_it_sooner():
    async with running_app() as app:
        one = await joined(app)
        [connection] = app.hub.connections
        now_s = asyncio.get_running_loop().time()
        assert (
            connection.due(now_s + 6) > 6
        )  # the first ping of any connection comes after 12.5 s at the earliest
        assert "subscribe" in await one.ask(2, subscribe={"channel": "lively:1"})
        now_s = asyncio.get_running_loop().time()
        assert connection.due(now_s + 5) < 2.6
        assert await one.ws.recv() == "{}"
        await one.send({})
        await one.ask(3, rpc={"method": "echo"})
        assert 2 < connection.due(now_s + 7.6) < 2.6  # the pong has come, and the next ping is due after 10 s
        assert connection.due(now_s + 10.1) < 2.6
        assert connection.due(now_s + 12.7) < 0
        assert await one.goodbye() == 3012


async def test_who_leaves_such_a_channel_is_pinged_as_any_other():
    async with running_app() as app:
        one = await joined(app)
        [connection] = app.hub.connections
        await one.ask(2, subscribe={"channel": "lively:1"})
        await one.ask(3, unsubscribe={"channel": "lively:1"})
        assert (
            connection.due(asyncio.get_running_loop().time() + 5) == 10.0
        )  # a pong may take its ordinary time
        await one.ws.close()


async def test_expired_token_ends_the_connection_after_the_grace():
    limits = Limits(tick_s=0.02, expiry_grace_s=0.2)  # pings far off: this client does not pong
    async with running_app(limits) as app, connect(app.url, compression=None) as ws:
        talker = Talker(ws)
        answer = await talker.ask(1, connect={"token": "gil:s:1"})
        assert answer["connect"]["expires"]
        assert answer["connect"]["ttl"] == 1
        assert await talker.goodbye() == 3005


async def test_refresh_prolongs_and_another_session_is_refused(calm):
    async with connect(calm.url, compression=None) as ws:
        talker = Talker(ws)
        await talker.ask(1, connect={"token": "hal:s1:10"})
        answer = await talker.ask(2, refresh={"token": "hal:s1:1000"})
        assert 998 <= answer["refresh"]["ttl"] <= 1000
        await talker.send({"id": 3, "refresh": {"token": "hal:s2:1000"}})
        assert await talker.goodbye() == 3500


async def test_refresh_with_an_expired_token_lets_the_client_fetch_another_one(calm, talker):
    await talker.ask(1, connect={"token": "hal:s1:10"})
    await talker.send({"id": 2, "refresh": {"token": "expired"}})
    assert await talker.goodbye() == 3005


async def test_refresh_of_a_connection_that_does_not_expire_is_answered(talker):
    client = (await talker.ask(1, connect={"token": "hal:s1"}))["connect"]["client"]
    answer = await talker.ask(2, refresh={"token": "hal:s1:5"})
    assert answer["refresh"] == {"client": client, "version": "mnbara"}


async def test_subscription_rules(calm, talker):
    await talker.ask(1, connect={"token": "ida:s"})

    async def code(command_id, **subscribe):
        return (await talker.ask(command_id, subscribe=subscribe)).get("error", {}).get("code")

    assert await code(2, channel="auctions:r") is None
    assert await code(3, channel="auctions:r") == 105
    assert await code(4, channel="personal:#ida") == 105
    assert await code(5, channel="") == 107
    assert await code(6, channel="ä" * 130) == 107
    assert await code(7, channel="auctions:map", type=1) == 108
    assert await code(8, channel="nothing") == 102
    for number in range(126):
        assert await code(10 + number, channel=f"auctions:r{number}") is None
    assert await code(200, channel="auctions:one-more") == 106
    assert (await talker.ask(201, unsubscribe={"channel": "personal:#ida"}))["error"]["code"] == 103
    assert (await talker.ask(202, unsubscribe={"channel": "auctions:r"})) == {"id": 202, "unsubscribe": {}}
    assert (await talker.ask(203, unsubscribe={"channel": "auctions:r"})) == {"id": 203, "unsubscribe": {}}
    assert await code(204, channel="auctions:one-more") is None


async def test_ten_thousand_subscriptions_are_refused_and_the_server_lives():
    async with running_app(UNLIMITED) as app:
        talker = await joined(app)
        refused = 0
        for start in range(2, 10_002, 100):
            await talker.send(
                *({"id": n, "subscribe": {"channel": f"auctions:m{n}"}} for n in range(start, start + 100))
            )
            answers = [await talker.next() for _ in range(100)]
            refused += sum("error" in answer for answer in answers)
        assert refused == 10_000 - 128
        await talker.ws.close()


async def test_recovery_says_what_it_can(calm, talker):
    calm.commit("auctions:rec", *["{}"] * 20)
    await talker.ask(1, connect={})

    async def recover(command_id, **options):
        name = {"channel": "auctions:rec"}
        answer = await talker.ask(command_id, subscribe={**name, "recover": True, **options})
        await talker.ask(command_id + 100, unsubscribe=name)
        return answer

    full = (await recover(2, offset=0, epoch="e1"))["subscribe"]
    assert (full["recovered"], full["was_recovering"], full.get("offset", 0)) == (True, True, 0)
    assert [pub["offset"] for pub in full["publications"]] == list(range(1, 21))
    part = (await recover(3, offset=18))["subscribe"]
    assert (part["recovered"], part["offset"], len(part["publications"])) == (True, 18, 2)
    none = (await recover(4, offset=20, epoch="e1"))["subscribe"]
    assert (none["recovered"], none["offset"], "publications" in none) == (True, 20, False)
    for command_id, options in {
        5: {"offset": 3, "epoch": "old"},
        6: {"offset": 21, "epoch": "e1"},
        7: {"offset": 1 << 62, "epoch": "e1"},
    }.items():
        lost = (await recover(command_id, **options))["subscribe"]
        assert (lost.get("recovered", False), lost["was_recovering"], lost["offset"]) == (False, True, 20)
        assert "publications" not in lost
        assert (await recover(command_id + 50, flag=2, **options))["error"]["code"] == 112


async def test_recovery_of_more_than_ten_thousand_events_is_refused_as_a_whole(calm, talker):
    calm.commit("auctions:long", *["{}"] * 10_001)
    await talker.ask(1, connect={})
    answer = await talker.ask(2, subscribe={"channel": "auctions:long", "recover": True, "offset": 0})
    assert not answer["subscribe"].get("recovered")
    await talker.ask(3, unsubscribe={"channel": "auctions:long"})
    talker.ws.max_size = None
    async with connect(calm.url, compression=None, max_size=None) as ws:
        other = Talker(ws)
        await other.ask(1, connect={})
        answer = await other.ask(2, subscribe={"channel": "auctions:long", "recover": True, "offset": 1})
        assert [pub["offset"] for pub in answer["subscribe"]["publications"]] == list(range(2, 10_002))


async def test_publications_during_a_subscribe_follow_its_reply_without_gap(calm, talker):
    name = "auctions:busy"
    calm.commit(name, *["{}"] * 500)
    await talker.ask(1, connect={})
    calm.log.delay_s = 0.01
    publishing = True

    async def publish():
        while publishing:
            calm.commit(name, "{}")
            await asyncio.sleep(0.0005)

    task = asyncio.create_task(publish())
    await talker.send({"id": 2, "subscribe": {"channel": name, "recover": True, "offset": 3}})
    answer = (await talker.next())["subscribe"]
    numbers = [pub["offset"] for pub in answer["publications"]]
    while len(numbers) < 700:
        numbers.append((await talker.next())["push"]["pub"]["offset"])
    publishing = False
    await task
    calm.log.delay_s = 0
    assert numbers == list(range(4, 4 + len(numbers)))


async def test_log_out_of_reach_is_a_temporary_error_and_works_again(calm, talker):
    await talker.ask(1, connect={})
    calm.log.failing = True
    error = (await talker.ask(2, subscribe={"channel": "auctions:away"}))["error"]
    assert (error["code"], error["temporary"]) == (100, True)
    error = (await talker.ask(3, history={"channel": "auctions:away", "limit": 5}))["error"]
    assert (error["code"], error["temporary"]) == (100, True)
    calm.log.failing = False
    assert "subscribe" in await talker.ask(4, subscribe={"channel": "auctions:away"})


async def test_connect_fails_temporarily_while_the_personal_channel_cannot_be_opened(calm, talker):
    calm.log.failing = True
    error = (await talker.ask(1, connect={"token": "jan:s"}))["error"]
    calm.log.failing = False
    assert (error["code"], error["temporary"]) == (100, True)


async def test_rpcs_in_flight_are_bounded_and_all_are_answered(calm, talker):
    await talker.ask(1, connect={})
    await talker.send(*({"id": n, "rpc": {"method": "never"}} for n in range(2, 102)))
    await until(lambda: len(calm.application.waiting) >= 64)
    await asyncio.sleep(0.02)
    assert len(calm.application.waiting) == 64
    for _ in range(100):
        for answer in calm.application.waiting:
            if not answer.done():
                answer.set_result(b"1")
        await asyncio.sleep(0)
    assert sorted([(await talker.next())["id"] for _ in range(100)]) == list(range(2, 102))
    calm.application.waiting.clear()


async def test_answers_a_client_does_not_read_do_not_pile_up(calm):
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", calm.port))
    raw.setblocking(False)
    ws = await connect(calm.url, compression=None, sock=raw, max_queue=1)
    talker = Talker(ws)
    await talker.ask(1, connect={})
    big = {"method": "big", "data": 50_000}
    before = len(calm.application.calls)
    ws.transport.pause_reading()
    for start in range(2, 2002, 200):
        await talker.send(*({"id": n, "rpc": big} for n in range(start, start + 200)))
    await asyncio.sleep(0.3)
    served = len(calm.application.calls) - before
    assert served < 200  # of 2,000 answers of 50 KB each
    [connection] = [c for c in calm.hub.connections if c.paused]
    assert connection.unsent() < 2 << 20
    ws.transport.resume_reading()
    for n in range(2, 2002):
        assert (await talker.next())["id"] == n
    await ws.close()


async def test_slow_reader_is_cut_and_costs_nobody_else_anything(calm):
    name = "auctions:slow"
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", calm.port))
    raw.setblocking(False)
    stuck_ws = await connect(calm.url, compression=None, sock=raw)
    stuck = Talker(stuck_ws)
    good = [await joined(calm) for _ in range(3)]
    await stuck.ask(1, connect={})
    for talker in (stuck, *good):
        assert "subscribe" in await talker.ask(2, subscribe={"channel": name})
    stuck_ws.transport.pause_reading()
    cuts = calm.hub.counters.slow_cuts
    text = json.dumps("x" * 10_000)
    total = 1000

    async def read_all(talker):
        return [(await talker.next())["push"]["pub"]["offset"] for _ in range(total)]

    readers = [asyncio.create_task(read_all(talker)) for talker in good]
    most = 0
    for _ in range(total):
        calm.commit(name, text)
        await asyncio.sleep(0.001)
        most = max(most, calm.hub.bytes_queued())
    for reader in readers:
        assert await reader == list(range(1, total + 1))
    assert calm.hub.counters.slow_cuts == cuts + 1
    assert most < 1_200_000
    stuck_ws.transport.resume_reading()
    assert await stuck.goodbye() == 3008
    back = await joined(calm, max_size=None)
    answer = await back.ask(2, subscribe={"channel": name, "recover": True, "offset": 900, "epoch": "e1"})
    assert [pub["offset"] for pub in answer["subscribe"]["publications"]] == list(range(901, total + 1))
    for talker in (*good, back):
        await talker.ws.close()


async def test_client_that_asks_for_much_is_not_cut_for_getting_it(calm):
    """A recovery larger than the bound for pushes, and pushes right behind it."""
    name = "auctions:much"
    calm.commit(name, *[json.dumps("x" * 3000)] * 1000)
    ws = await connect(calm.url, compression=None, max_size=None)
    talker = Talker(ws)
    client = (await talker.ask(1, connect={}))["connect"]["client"]
    [connection] = [c for c in calm.hub.connections if c.client == client]
    kernel = connection.socket.transport.get_extra_info("socket")
    kernel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    await talker.send({"id": 2, "subscribe": {"channel": name, "recover": True, "offset": 0}})
    ws.transport.pause_reading()
    for _ in range(50):
        calm.commit(name, "{}")
        await asyncio.sleep(0.005)
    ws.transport.resume_reading()
    numbers = [pub["offset"] for pub in (await talker.next())["subscribe"]["publications"]]
    while len(numbers) < 1050:
        numbers.append((await talker.next())["push"]["pub"]["offset"])
    assert numbers == list(range(1, 1051))
    await ws.close()


async def test_reader_of_a_latest_channel_that_stalls_skips_to_the_newest(calm):
    name = "cells:1"
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", calm.port))
    raw.setblocking(False)
    ws = await connect(calm.url, compression=None, sock=raw, max_queue=1)
    talker = Talker(ws)
    await talker.ask(1, connect={})
    await talker.ask(2, subscribe={"channel": name})
    ws.transport.pause_reading()
    cuts = calm.hub.counters.slow_cuts
    for number in range(1, 2001):
        calm.show(name, number, json.dumps("x" * 5000), "trip")
        if number % 20 == 0:
            await asyncio.sleep(0.001)
    ws.transport.resume_reading()
    numbers = [0]
    while numbers[-1] < 2000:
        numbers.append((await talker.next())["push"]["pub"]["offset"])
    assert numbers == sorted(set(numbers))
    assert len(numbers) < 1500
    assert calm.hub.counters.slow_cuts == cuts
    await ws.close()


async def test_two_connections_of_a_user_both_get_personal_events_and_end_together(calm):
    talkers = []
    for session in ("s1", "s2"):
        talker = Talker(await connect(calm.url, compression=None))
        await talker.ask(1, connect={"token": f"kim:{session}"})
        talkers.append(talker)
    calm.commit("personal:#kim", '{"type":"outbid"}')
    for talker in talkers:
        assert (await talker.next())["push"]["pub"]["data"] == {"type": "outbid"}
    assert calm.hub.disconnect_user("kim", 3503, "signed out") == 2
    for talker in talkers:
        assert await talker.goodbye() == 3503


async def test_observer_can_end_a_session_from_a_personal_event(calm):
    def end(_channel, entry):
        fact = json.loads(entry.data)
        if fact["type"] == "session_ended":
            calm.hub.disconnect_session(fact["session"], 4501, "session ended")

    calm.hub.observe("personal:", end)
    talker = Talker(await connect(calm.url, compression=None))
    await talker.ask(1, connect={"token": "lea:s77"})
    calm.commit("personal:#lea", '{"type":"session_ended","session":"s77"}')
    assert await talker.goodbye() == 4501


async def test_stopping_server_tells_its_clients_to_reconnect():
    async with running_app() as app:
        talker = await joined(app)
    assert await talker.goodbye() == 3001


async def test_nothing_of_a_gone_client_stays(calm):
    before = set(calm.hub.connections)
    talkers = [Talker(await connect(calm.url, compression=None)) for _ in range(20)]
    for talker in talkers:
        await talker.ask(1, connect={"token": "max:s"})
        await talker.ask(2, subscribe={"channel": "auctions:gone"})
    for talker in talkers:
        talker.ws.transport.abort()
    await until(lambda: calm.hub.connections == before)
    assert not calm.hub.channels["auctions:gone"].in_use()
    assert calm.hub.disconnect_user("max", 3503, "x") == 0
