"""The fallback transports over raw HTTP: heads, order, secrets, bad input, slow readers, the end of a stream."""

import asyncio
import contextlib
import json
import socket

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from protocols.wire import centrifuge_pb2
from realtime.limits import Limits
from tests.support.js_client import js_client
from tests.support.realtime_app import running_app
from tests.support.streams import Stream, open_stream
from tests.support.waiting import until

pb = centrifuge_pb2
KINDS = ["http_stream", "sse"]
ONE_FIRST = ["http_stream", pytest.param("sse", marks=pytest.mark.slow)]
"""Of what takes seconds, one kind in the first tier."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app():
    limits = Limits(ping_s=1.0, pong_timeout_s=0.3, tick_s=0.02, connect_timeout_s=0.4, close_timeout_s=0.3)
    async with running_app(limits) as app:
        yield app


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def calm():
    async with running_app(Limits(close_timeout_s=0.5)) as app:
        yield app


@pytest_asyncio.fixture(loop_scope="module")
async def http(calm):
    async with httpx.AsyncClient(base_url=calm.http_url, trust_env=False, timeout=5) as client:
        yield client


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stream_opens_at_once_and_tells_proxies_not_to_hold_it(http, kind):
    async with open_stream(http, kind) as stream:
        headers = stream.response.headers
        assert stream.response.status_code == 200
        assert headers["x-accel-buffering"] == "no"
        assert "no-store" in headers["cache-control"]
        wanted = {"http_stream": "application/json", "sse": "text/event-stream; charset=utf-8"}
        assert headers["content-type"] == wanted[kind]
        result = await stream.connected()
        assert len(stream.session) == 48
        assert len(stream.node) == 16
        assert result["ping"]
        assert result["pong"]


async def test_event_source_sees_bytes_before_any_message(http):
    async with open_stream(http, "sse") as stream:
        assert (await anext(stream._lines)).strip() == ""


@pytest.mark.parametrize("kind", KINDS)
async def test_commands_are_served_in_order_and_publications_arrive(calm, http, kind):
    channel = f"auctions:stream-{kind}"
    async with open_stream(http, kind, {"token": "ann:s1"}) as stream:
        assert "personal:#ann" in (await stream.connected())["subs"]
        posted = await stream.post(
            {"id": 2, "subscribe": {"channel": channel}},
            {"id": 3, "rpc": {"method": "later", "data": {"a": 1}}},
            {"id": 4, "history": {"channel": channel}},
        )
        assert (posted.status_code, posted.content) == (204, b"")
        assert [(await stream.next())["id"] for _ in range(3)] in ([2, 3, 4], [2, 4, 3])
        calm.commit(channel, '{"n":1,\n"t":"\\n ü"}', '{"n":2}')
        pushes = [(await stream.next())["push"]["pub"] for _ in range(2)]
        assert [p["offset"] for p in pushes] == [1, 2]
        assert pushes[0]["data"] == {"n": 1, "t": "\n ü"}


async def test_a_stream_opened_by_post_serves_events_too(http):
    body = json.dumps({"id": 1, "connect": {}})
    async with http.stream("POST", "/connection/sse", content=body) as response:
        stream = Stream(http, response, events=True)
        assert (await stream.connected())["client"]


async def test_many_posts_of_one_session_are_each_served_once(calm, http):
    async with open_stream(http, connect={"token": "many:s"}) as stream:
        await stream.connected()
        calm.bus.delay_s = 0.05
        await stream.post({"id": 2, "subscribe": {"channel": "auctions:busy"}})  # keeps the connection busy
        posts = [stream.post({"id": n, "rpc": {"method": "echo", "data": n}}) for n in range(3, 63)]
        assert {p.status_code for p in await asyncio.gather(*posts)} == {204}
        answers = [await stream.next() for _ in range(61)]
        calm.bus.delay_s = 0
        assert answers[0]["id"] == 2
        assert sorted(a["id"] for a in answers) == list(range(2, 63))


async def test_protobuf_streams_speak_protobuf_both_ways(calm, http):
    def delimited(message):
        data = message.SerializeToString()
        return bytes([len(data)]) + data

    connect = delimited(pb.Command(id=1, connect=pb.ConnectRequest(token="proto:s")))
    headers = {"Content-Type": "application/octet-stream"}
    async with open_stream(http, connect=connect, headers=headers) as stream:
        assert stream.response.headers["content-type"] == "application/octet-stream"
        chunks = stream.response.aiter_bytes()
        data = await anext(chunks)
        size, start = (data[0] & 0x7F) | (data[1] << 7), 2
        reply = pb.Reply.FromString(data[start : start + size])
        assert reply.connect.session
        command = delimited(pb.Command(id=2, rpc=pb.RPCRequest(method="echo", data=b'"x"')))
        request = pb.EmulationRequest(node=reply.connect.node, session=reply.connect.session, data=command)
        posted = await http.post("/emulation", content=request.SerializeToString(), headers=headers)
        assert posted.status_code == 204
        data = await anext(chunks)
        assert pb.Reply.FromString(data[1 : 1 + data[0]]).rpc.data == b'"x"'


async def test_a_post_through_another_process_reaches_the_stream(calm, http):
    async with running_app() as other, httpx.AsyncClient(trust_env=False) as client:
        other.mailbox.nodes = calm.mailbox.nodes
        async with open_stream(http) as stream:
            await stream.connected()
            stream.http, stream.emulation_url = client, f"{other.http_url}/emulation"
            assert (await stream.ask(2, rpc={"method": "echo", "data": 7}))["rpc"] == {"data": 7}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"session": "0" * 48}, 204),
        ({"session": ""}, 204),
        ({"session": "x" * 5000}, 204),
        ({"node": "0" * 16}, 404),
        ({"node": ""}, 404),
        ({"node": "mnbara:\r\nSUBSCRIBE"}, 404),
        ({"node": 7}, 400),
        ({"data": {"id": 2}}, 400),
        ({"data": "x" * 70_000}, 413),
        ({"data": "x" * 300_000}, 413),
    ],
)
async def test_bad_posts_are_refused_and_leave_the_stream_alone(http, changes, status):
    async with open_stream(http) as stream:
        await stream.connected()
        command = {"id": 2, "rpc": {"method": "echo", "data": 1}}
        assert (await stream.post(command, **changes)).status_code == status
        assert (await stream.ask(3, rpc={"method": "echo", "data": 2}))["rpc"] == {"data": 2}


async def test_a_session_is_worth_nothing_without_its_secret(http):
    async with open_stream(http) as stream:
        await stream.connected()
        forged = stream.session[:-1] + ("0" if stream.session[-1] != "0" else "1")
        garbage = await stream.post(session=forged, data="garbage")
        assert garbage.status_code == 204
        assert (await stream.ask(3, rpc={"method": "echo", "data": 2}))["rpc"] == {"data": 2}


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b'"a"', b"\xff", b"{" * 1000, b'{"session":null}'])
async def test_posted_garbage_is_invalid_input(http, body):
    answer = await http.post("/emulation", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["/emulation", "/connection/http_stream"])
async def test_other_types_of_body_are_refused(http, path):
    answer = await http.post(path, content=b"{}", headers={"Content-Type": "text/xml"})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/emulation"), ("GET", "/connection/http_stream"), ("DELETE", "/connection/sse")],
)
async def test_other_methods_are_refused(http, method, path):
    assert (await http.request(method, path)).status_code == 405


@pytest.mark.parametrize("path", ["/emulation", "/connection/http_stream", "/connection/sse"])
async def test_options_is_answered_without_a_body(http, path):
    answer = await http.options(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize("path", ["/connection/http_stream", "/connection/sse"])
async def test_a_huge_connect_is_refused(http, path):
    answer = await http.post(path, content=b"x" * 70_000, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", [b"", b"garbage", b'{"id":1,"rpc":{"method":"echo"}}', b"{}"])
async def test_a_stream_that_begins_wrongly_ends_with_3501(http, kind, body):
    async with open_stream(http, kind, body) as stream:
        assert stream.response.status_code == 200
        assert await stream.goodbye() == 3501


@pytest.mark.parametrize("kind", KINDS)
async def test_a_bad_token_ends_the_stream_with_3500_and_an_expired_one_is_told(http, kind):
    async with open_stream(http, kind, {"token": "nonsense"}) as stream:
        assert await stream.goodbye() == 3500
    async with open_stream(http, kind, {"token": "expired"}) as stream:
        assert (await stream.next())["error"]["code"] == 109


@pytest.mark.parametrize(
    ("origin", "status"), [("https://friend.example", 200), ("https://evil.example", 403), ("", 200)]
)
async def test_origins_are_judged_as_for_sockets(http, origin, status):
    headers = {"Origin": origin} if origin else {}
    for kind in KINDS:
        async with open_stream(http, kind, headers=headers) as stream:
            assert stream.response.status_code == status
    posted = await http.post("/emulation", json={"node": "0" * 16}, headers=headers)
    assert posted.status_code == (404 if status == 200 else 403)


async def test_a_closed_stream_is_forgotten_and_posts_to_it_are_harmless(calm, http):
    async with open_stream(http, connect={"token": "leaver:s"}) as stream:
        await stream.connected()
        assert calm.emulation.streams_by_transport()["http_stream"] == 1
        before = len(calm.hub.connections)
    await until(lambda: len(calm.hub.connections) == before - 1)
    assert calm.emulation.streams_by_transport() == {"http_stream": 0, "sse": 0}
    assert (await stream.post({"id": 2, "rpc": {"method": "echo"}})).status_code == 204
    assert calm.hub._users.find("leaver") == []


@pytest.mark.parametrize("kind", KINDS)
async def test_an_ended_session_hears_why_before_its_stream_ends(calm, http, kind):
    async with open_stream(http, kind, {"token": f"eve-{kind}:gone-{kind}"}) as stream:
        await stream.connected()
        assert calm.hub.disconnect_session(f"gone-{kind}", 4501, "session over") == 1
        assert await stream.goodbye() == 4501


@pytest.mark.parametrize("kind", ONE_FIRST)
async def test_a_stream_is_pinged_and_ends_without_pongs(app, kind):
    async with (
        httpx.AsyncClient(base_url=app.http_url, trust_env=False) as client,
        open_stream(client, kind) as stream,
    ):
        await stream.connected()
        assert await stream.next() == {}
        assert (await stream.post({})).status_code == 204  # the pong
        assert await stream.next() == {}
        assert await stream.goodbye() == 3012


async def open_without_reading(app, token):
    """Open a stream whose answer stays in the network's buffers; return its two ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    body = b'{"id":1,"connect":{"token":"%b:s"}}' % token.encode()
    head = b"POST /connection/http_stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    await until(lambda: app.hub._users.find(token))
    writer.transport.pause_reading()
    return reader, writer


async def test_a_client_that_does_not_read_its_stream_is_cut_and_costs_no_one(calm):
    _reader, writer = await open_without_reading(calm, "slow")
    cuts = calm.hub.counters.slow_cuts
    text = json.dumps("x" * 20_000)
    for _ in range(2_000):
        calm.commit("personal:#slow", text)
        await asyncio.sleep(0)
        if calm.hub.counters.slow_cuts > cuts:
            break
    assert calm.hub.counters.slow_cuts == cuts + 1
    assert calm.hub._users.find("slow") == []
    await until(lambda: calm.emulation.streams_by_transport()["http_stream"] == 0)
    writer.close()


async def test_the_end_of_a_stream_does_not_wait_for_its_reader_for_ever(calm):
    user = "far"
    reader, writer = await open_without_reading(calm, user)
    [connection] = calm.hub._users.find(user)
    sending = connection.socket._transport.get_extra_info("socket")
    sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    while not connection.socket._unsent():
        calm.commit(f"personal:#{user}", json.dumps("x" * 10_000))
        await asyncio.sleep(0)
    calm.hub.disconnect_user(user, 4501, "session over")
    await asyncio.sleep(1.0)  # the server waits half a second
    receiving = writer.transport.get_extra_info("socket")
    receiving.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    writer.transport.resume_reading()
    async with asyncio.timeout(10):
        data = await reader.read()
    assert not data.endswith(b"0\r\n\r\n")  # cut, not ended
    writer.close()


async def test_a_client_that_posts_too_much_while_busy_is_sent_away(calm, http):
    async with open_stream(http, connect={"token": "flood:s"}) as stream:
        await stream.connected()
        calm.bus.delay_s = 0.5
        await stream.post({"id": 2, "subscribe": {"channel": "auctions:flooded"}})
        big = {"id": 3, "rpc": {"method": "echo", "data": "x" * 60_000}}
        for _ in range(6):
            assert (await stream.post(big)).status_code == 204
        calm.bus.delay_s = 0
        assert await stream.goodbye() == 3013


async def test_no_more_streams_than_connections_are_allowed():
    async with (
        running_app(Limits(connections_max=1)) as small,
        httpx.AsyncClient(base_url=small.http_url, trust_env=False) as client,
        open_stream(client) as first,
        open_stream(client, "sse") as second,
    ):
        assert await first.connected()
        assert second.response.status_code == 503


async def test_a_draining_server_ends_streams_with_3001_and_takes_no_new_ones():
    async with (
        running_app() as app,
        httpx.AsyncClient(base_url=app.http_url, trust_env=False) as client,
        open_stream(client) as stream,
        open_stream(client, "sse") as events,
    ):
        await stream.connected()
        await events.connected()
        draining = asyncio.create_task(app.hub.drain(0.2))
        assert await stream.goodbye() == 3001
        assert await events.goodbye() == 3001
        await draining
        async with open_stream(client) as late:
            assert late.response.status_code == 503


async def test_a_draining_server_answers_what_is_under_way_and_reads_nothing_new():
    async with (
        running_app() as app,
        httpx.AsyncClient(base_url=app.http_url, trust_env=False) as client,
        open_stream(client, connect={"token": "busy:s"}) as busy,
        open_stream(client, connect={"token": "idle:s"}) as idle,
    ):
        await busy.connected()
        await idle.connected()
        await busy.post({"id": 2, "rpc": {"method": "never", "data": 1}})
        draining = asyncio.create_task(app.hub.drain(0.1))
        assert await idle.goodbye() == 3001
        await asyncio.sleep(0.2)
        await busy.post({"id": 3, "rpc": {"method": "echo", "data": "too late"}})
        app.application.waiting[0].set_result(b'"in time"')
        assert await busy.next() == {"id": 2, "rpc": {"data": "in time"}}
        assert await busy.goodbye() == 3001
        await draining
        assert [method for _user, method, _data in app.application.calls] == ["never"]


async def test_a_command_without_end_does_not_keep_a_draining_server():
    async with (
        running_app(Limits(finish_commands_s=0.3)) as app,
        httpx.AsyncClient(base_url=app.http_url, trust_env=False) as client,
        open_stream(client, connect={"token": "busy:s"}) as busy,
    ):
        await busy.connected()
        await busy.post({"id": 2, "rpc": {"method": "never", "data": 1}})
        started = asyncio.get_running_loop().time()
        await app.hub.drain(0.1)
        assert asyncio.get_running_loop().time() - started < 0.8
        assert await busy.goodbye() == 3001


async def test_sockets_leave_spread_over_the_grace_time():
    async with running_app() as app:
        clients = [httpx.AsyncClient(base_url=app.http_url, trust_env=False) for _ in range(20)]
        async with contextlib.AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(open_stream(client)) for client in clients]
            for stream in streams:
                await stream.connected()
            draining = asyncio.create_task(app.hub.drain(1.0))
            left = []
            for _ in range(4):
                await asyncio.sleep(0.25)
                left.append(len(app.hub.connections))
            await draining
            assert all(abs(now - wanted) <= 4 for now, wanted in zip(left, (15, 10, 5, 0), strict=True)), left
            assert not app.hub.connections
        for client in clients:
            await client.aclose()


async def test_a_full_process_refuses_websockets_until_somebody_leaves():
    async with (
        running_app(Limits(connections_max=1)) as small,
        httpx.AsyncClient(base_url=small.http_url, trust_env=False) as client,
    ):
        async with open_stream(client) as stream:
            await stream.connected()
            with pytest.raises(InvalidStatus):
                await connect(small.url)
        await until(lambda: not small.hub.connections)
        async with connect(small.url) as ws:
            await ws.send('{"id":1,"connect":{}}')
            reply = json.loads(await ws.recv())["connect"]
            assert "session" not in reply
            assert "node" not in reply


@pytest.mark.parametrize("kind", ONE_FIRST)
async def test_the_sdk_answers_the_pings_of_a_stream(app, kind):
    async with js_client(app.http_url, ("websocket", *KINDS[: KINDS.index(kind)])) as client:
        await client.until("connected")
        await asyncio.sleep(2.5)  # two pings; a pong has 0.3 s
        assert (await client.rpc("echo", a=1))["data"] == {"a": 1}
        assert len(client.of("connected")) == 1


async def test_a_stream_recovers_after_its_server_cut_it(calm):
    channel = "auctions:js-cut"
    async with js_client(calm.http_url, ("websocket",)) as client:
        await client.until("connected")
        client.do("subscribe", channel=channel)
        await client.until("subscribed")
        for round_ in range(3):
            calm.commit(channel, "{}", "{}")
            [stream] = calm.emulation._streams.values()
            stream.socket._transport.abort()
            calm.commit(channel, *["{}"] * 50)
            assert (await client.until("subscribed"))["recovered"]
            await until(lambda wanted=52 * (round_ + 1): len(client.of("publication")) == wanted)
        assert [p["offset"] for p in client.of("publication")] == list(range(1, 157))
