"""Clients that get no websocket through: the official JavaScript SDK and raw HTTP on running systems.

Two systems on the same engines: what is posted to the port of one reaches the streams of the other over Redis.
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from tests.support.js_client import js_client
from tests.support.players import Player, open_auction, sign_up
from tests.support.streams import open_stream
from tests.support.system import System, running_system, scratch_home
from tests.support.waiting import until

SHOP = "https://shop.example"
FALLBACKS = {"http_stream": ("websocket",), "sse": ("websocket", "http_stream")}


@pytest.fixture(scope="module")
def systems(engines, database, redis_url) -> Iterator[tuple[System, System]]:
    environment = {
        "MNBARA_POSTGRES_URL": database,
        "MNBARA_REDIS_URL": redis_url,
        "MNBARA_NATS_URL": engines.nats_url,
        "MNBARA_RATE_LIMITS": "off",
        "MNBARA_ALLOWED_ORIGINS": SHOP,
        "MNBARA_DRAIN_S": "1",
    }
    with (
        scratch_home() as home,
        scratch_home() as other_home,
        running_system(home, processes=1, environment=environment) as one,
        running_system(other_home, processes=1, environment=environment) as other,
    ):
        yield one, other


@pytest.fixture(scope="module")
def base(systems) -> str:
    return systems[0].base_url


@pytest.fixture(scope="module")
def other(systems) -> str:
    return systems[1].base_url


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def http(base) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=base, timeout=20, trust_env=False) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def seller(http) -> Player:
    return await sign_up(http, "seller")


async def bid(player: Player, auction_id: str, amount: int, key: str) -> dict:
    answer = await player.post(f"/v1/auctions/{auction_id}/bids", {"amount": amount}, key=key)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.parametrize("blocked", [(), *FALLBACKS.values()], ids=["websocket", *FALLBACKS])
async def test_the_sdk_bids_and_watches_over_whatever_transport_gets_through(base, http, seller, blocked):
    auction = (await open_auction(seller))["id"]
    player = await sign_up(http)
    async with js_client(base, blocked, token=player.tokens["access_token"]) as client:
        wanted = ["websocket", "http_stream", "sse"][len(blocked)]
        assert (await client.until("connected"))["transport"] == wanted
        client.do("subscribe", channel=f"auctions:{auction}")
        await client.until("subscribed")
        bids = [{"auction_id": auction, "amount": 2000, "key": "one"} for _ in range(2)]
        first, again = [await client.rpc("auctions.place_bid", **one) for one in bids]
        assert first["data"]["outcome"] == "leading"
        assert again["data"]["bid_id"] == first["data"]["bid_id"]
        assert (await client.until("publication"))["offset"] == first["data"]["offset"]
        refused = await client.rpc("auctions.place_bid", auction_id=auction, amount=1, key="two")
        assert "bid_too_low" in refused["message"]
        rival = await sign_up(http)
        await bid(rival, auction, 9000, "r")
        assert (await client.until("personal"))["data"]["type"] == "outbid"
        client.do("unsubscribe", channel=f"auctions:{auction}")
        await client.until("unsubscribed")
        assert (await client.rpc("auctions.get_auction", auction_id=auction))["data"]["bid_count"] == 2


async def test_the_protobuf_sdk_falls_back_to_a_binary_stream(base, http, seller):
    auction = (await open_auction(seller))["id"]
    player = await sign_up(http)
    blocked = FALLBACKS["http_stream"]
    async with js_client(base, blocked, token=player.tokens["access_token"], protobuf=True) as client:
        assert (await client.until("connected"))["transport"] == "http_stream"
        client.do("subscribe", channel=f"auctions:{auction}")
        await client.until("subscribed")
        placed = await client.rpc("auctions.place_bid", auction_id=auction, amount=2000, key="one")
        assert placed["data"]["outcome"] == "leading"
        assert (await client.until("publication"))["data"]["type"] == "bid_placed"


@pytest.mark.parametrize("kind", FALLBACKS)
async def test_posts_to_another_process_reach_the_stream(base, other, http, seller, kind):
    auction = (await open_auction(seller))["id"]
    player = await sign_up(http)
    token = player.tokens["access_token"]
    async with js_client(base, FALLBACKS[kind], emulation=other, token=token) as client:
        assert (await client.until("connected"))["transport"] == kind
        client.do("subscribe", channel=f"auctions:{auction}")
        await client.until("subscribed")
        offsets = []
        for amount in range(2000, 2020):
            placed = await client.rpc(
                "auctions.place_bid", auction_id=auction, amount=amount, key=f"{amount}"
            )
            offsets.append(placed["data"]["offset"])
        while len(client.of("publication")) < 20:
            await client.until("publication")
        assert [p["offset"] for p in client.of("publication")] == offsets
        client.do("posts")
        assert (await client.until("posts"))["urls"] == [f"{other}/emulation"]
        assert len(client.of("connected")) == 1


@pytest.mark.parametrize("kind", FALLBACKS)
async def test_a_cut_stream_recovers_every_number_once(base, http, seller, kind):
    auction = (await open_auction(seller))["id"]
    rivals = [await sign_up(http) for _ in range(2)]
    async with js_client(base, FALLBACKS[kind]) as client:
        await client.until("connected")
        client.do("subscribe", channel=f"auctions:{auction}")
        await client.until("subscribed")
        amount = 1000
        for round_ in range(3):
            client.do("cut")
            for number in range(4):
                amount += 1000
                last = await bid(rivals[number % 2], auction, amount, f"{round_}-{number}")
            again = await client.until("subscribed")
            assert (again["wasRecovering"], again["recovered"]) == (True, True)
        await until(
            lambda: client.of("publication") and client.of("publication")[-1]["offset"] >= last["offset"]
        )
        offsets = [p["offset"] for p in client.of("publication")]
        assert offsets == list(range(2, last["offset"] + 1))


@pytest.mark.slow
async def test_a_killed_process_sends_its_streams_to_its_successor(systems, base, http, seller):
    auction = (await open_auction(seller))["id"]
    rival = await sign_up(http)
    async with js_client(base, FALLBACKS["http_stream"], token=rival.tokens["access_token"]) as client:
        await client.until("connected")
        client.do("subscribe", channel=f"auctions:{auction}")
        await client.until("subscribed")
        for number, how in enumerate((signal.SIGKILL, signal.SIGTERM)):
            await asyncio.to_thread(systems[0].kill, "server-0", how)
            await client.until("connected", timeout_s=20)
            assert (await client.until("subscribed"))["recovered"]
            placed = await client.rpc(
                "auctions.place_bid", auction_id=auction, amount=5000 * (number + 1), key=f"{number}"
            )
            assert placed["event"] == "answer", placed
        codes = [event["code"] for event in client.of("connecting")]
        assert codes[-1] == 3001, codes


@pytest.mark.parametrize("kind", FALLBACKS)
async def test_a_logout_on_another_process_ends_the_stream_for_good(base, other, http, kind):
    player = await sign_up(http)
    async with open_stream(http, kind, {"token": player.tokens["access_token"]}) as stream:
        await stream.connected()
        assert (await player.post("/v1/auth/logout", {})).status_code == 200
        assert await stream.goodbye() == 4501


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("door", ["own", "other"])
async def test_posts_that_fit_nothing_are_refused_by_the_catalogue(base, other, http, door):
    where = (base if door == "own" else other) + "/emulation"
    async with open_stream(http) as stream:
        await stream.connected()
        stream.emulation_url = where
        gone = await stream.post(node="0123456789abcdef")
        assert problem(gone) == (404, "not_found")
        assert (await stream.post(session="0" * 48, data="garbage")).status_code == 204
        assert problem(await stream.post(data="x" * 70_000)) == (413, "payload_too_large")
        assert problem(await http.post(where, content=b"x" * 400_000)) == (413, "payload_too_large")
        assert problem(await http.post(where, content=b"{")) == (400, "invalid_input")
        html = {"Content-Type": "text/html"}
        assert problem(await http.post(where, content=b"{}", headers=html)) == (415, "unsupported_media_type")
        assert problem(await http.get(where)) == (405, "method_not_allowed")
        assert (await stream.ask(2, rpc={"method": "auctions.list_auctions", "data": {}}))["rpc"]["data"]
        assert (await stream.post(data="garbage")).status_code == 204
        assert await stream.goodbye() == 3501


@pytest.mark.parametrize("path", ["/connection/http_stream", "/connection/sse", "/emulation"])
async def test_browsers_of_allowed_origins_only_may_use_the_fallback(http, path):
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    allowed = await http.options(path, headers={"Origin": SHOP, **asked})
    assert allowed.status_code == 204
    assert allowed.headers["access-control-allow-origin"] == SHOP
    assert "POST" in allowed.headers["access-control-allow-methods"]
    foreign = await http.options(path, headers={"Origin": "https://evil.example", **asked})
    assert "access-control-allow-origin" not in foreign.headers
    refused = await http.post(path, json={}, headers={"Origin": "https://evil.example"})
    assert problem(refused) == (403, "not_allowed")


async def test_a_stream_for_an_allowed_origin_carries_cors_and_proxy_headers(http):
    async with open_stream(http, "sse", headers={"Origin": SHOP}) as stream:
        headers = stream.response.headers
        assert headers["access-control-allow-origin"] == SHOP
        assert headers["x-accel-buffering"] == "no"
        assert headers["cache-control"].startswith("no-store")
        assert await stream.connected()


async def test_connections_are_counted_by_transport(base, http):
    async with open_stream(http) as one, open_stream(http, "sse") as two, open_stream(http, "sse") as three:
        for stream in (one, two, three):
            await stream.connected()
        await asyncio.sleep(0.1)
        text = (await http.get("/metrics")).text
        shown = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("mnbara_conn"))
        assert float(shown["mnbara_connections_http_stream"]) == 1
        assert float(shown["mnbara_connections_sse"]) == 2
        assert float(shown["mnbara_connections"]) == 3 + float(shown["mnbara_connections_websocket"])


async def test_commands_of_one_post_are_answered_in_order(http):
    async with open_stream(http) as stream:
        await stream.connected()
        posted = await stream.post(
            *({"id": n, "subscribe": {"channel": f"nothing:{n}"}} for n in range(2, 50))
        )
        assert posted.status_code == 204
        answers = [json.loads(json.dumps(await stream.next())) for _ in range(48)]
        assert [answer["id"] for answer in answers] == list(range(2, 50))
        assert {answer["error"]["code"] for answer in answers} == {102}
