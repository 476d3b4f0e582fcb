"""A bid's whole way on a running system: two doors, official SDKs, several processes, real engines."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from centrifuge import ReplyError

from tests.support.players import Socket, open_auction, sign_up
from tests.support.waiting import until


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


@pytest.fixture
def url(shared_system) -> str:
    return shared_system.websocket_url


async def test_bidders_on_both_formats_see_each_other_in_one_order(shared_http, url):
    seller = await sign_up(shared_http, "seller")
    auction = await open_auction(seller)
    one, two = await sign_up(shared_http), await sign_up(shared_http)
    async with (
        Socket(url, one.tokens["access_token"]) as json_socket,
        Socket(url, two.tokens["access_token"], protobuf=True) as protobuf_socket,
        Socket(url) as anonymous,
    ):
        watchers = [
            await s.watch(f"auctions:{auction['id']}") for s in (json_socket, protobuf_socket, anonymous)
        ]
        first = await json_socket.rpc("auctions.place_bid", auction_id=auction["id"], amount=5000, key="a")
        second = await protobuf_socket.rpc(
            "auctions.place_bid", auction_id=auction["id"], amount=9000, key="b"
        )
        assert (first["outcome"], first["price"], second["outcome"]) == ("leading", 1000, "leading")
        for watcher in watchers:
            await watcher.until(second["offset"])
            assert watcher.numbers == [first["offset"], second["offset"]]
        leaders = {data["leader"] for _, data in watchers[2].seen}
        assert len(leaders) == 2
        assert not any(user_id in str(watchers[2].seen) for user_id in (one.user_id, two.user_id))
        await until(lambda: json_socket.personal)
        ((_, notice),) = json_socket.personal
        assert notice["type"] == "outbid"
        assert notice["auction_id"] == auction["id"]
        assert notice["price"] == second["price"]


async def test_one_key_has_one_effect_on_either_door(shared_http, url):
    auction = await open_auction(await sign_up(shared_http, "seller"))
    bidder = await sign_up(shared_http)
    async with Socket(url, bidder.tokens["access_token"]) as socket:
        body = {"amount": 4000}
        results = await asyncio.gather(
            socket.rpc("auctions.place_bid", auction_id=auction["id"], amount=4000, key="once"),
            *(bidder.post(f"/v1/auctions/{auction['id']}/bids", body, key="once") for _ in range(5)),
        )
        bid_ids = {r["bid_id"] if isinstance(r, dict) else r.json()["bid_id"] for r in results}
        assert len(bid_ids) == 1
        again = await bidder.post(f"/v1/auctions/{auction['id']}/bids", body, key="once")
        assert again.headers["idempotent-replay"] == "true"
        other = await bidder.post(f"/v1/auctions/{auction['id']}/bids", {"amount": 4001}, key="once")
        assert (other.status_code, other.json()["code"]) == (422, "key_reused")
        missing = await bidder.post(f"/v1/auctions/{auction['id']}/bids", {"amount": 4001})
        assert (missing.status_code, missing.json()["code"]) == (400, "key_required")
    state = (await bidder.get(f"/v1/auctions/{auction['id']}")).json()
    assert state["bid_count"] == 1


async def test_of_two_equal_bids_the_first_in_event_order_leads(shared_http, url):
    auction = await open_auction(await sign_up(shared_http, "seller"))
    players = [await sign_up(shared_http) for _ in range(4)]
    sockets = [await Socket(url, p.tokens["access_token"]).__aenter__() for p in players]
    watcher = await sockets[0].watch(f"auctions:{auction['id']}")
    results = await asyncio.gather(
        *(s.rpc("auctions.place_bid", auction_id=auction["id"], amount=7700, key="same") for s in sockets),
        return_exceptions=True,
    )
    placed = sorted((r for r in results if isinstance(r, dict)), key=lambda r: r["offset"])
    assert placed[0]["outcome"] == "leading"
    assert all(r["outcome"] == "outbid" for r in placed[1:])
    await watcher.until(placed[-1]["offset"])
    first_leader = watcher.seen[0][1]["leader"]
    assert {data["leader"] for _, data in watcher.seen} == {first_leader}
    for socket in sockets:
        await socket.__aexit__()


async def test_refusals_carry_the_catalogue_on_both_doors(shared_http, url):
    seller = await sign_up(shared_http, "seller")
    auction = await open_auction(seller)
    bidder = await sign_up(shared_http)
    async with Socket(url, bidder.tokens["access_token"]) as socket, Socket(url) as anonymous:
        await socket.rpc("auctions.place_bid", auction_id=auction["id"], amount=2000, key="1")
        low = await bidder.post(f"/v1/auctions/{auction['id']}/bids", {"amount": 1500}, key="2")
        assert (low.status_code, low.json()["code"]) == (422, "bid_too_low")
        assert low.json()["minimum_bid"] == 2001
        with pytest.raises(ReplyError) as refused:
            await socket.rpc("auctions.place_bid", auction_id=auction["id"], amount=1500, key="3")
        assert (refused.value.code, refused.value.temporary) == (low.json()["number"], False)
        assert str(refused.value).find("bid_too_low: ") >= 0
        own = await seller.post(f"/v1/auctions/{auction['id']}/bids", {"amount": 9000}, key="4")
        assert own.json()["code"] == "own_auction"
        with pytest.raises(ReplyError) as unsigned:
            await anonymous.rpc("auctions.place_bid", auction_id=auction["id"], amount=9000, key="5")
        assert "unauthenticated" in str(unsigned.value)
        with pytest.raises(ReplyError) as unknown:
            await socket.rpc("auctions.steal")
        assert unknown.value.code == 104
    assert (await bidder.get(f"/v1/auctions/{auction['id']}")).json()["bid_count"] == 1


@pytest.mark.parametrize("amount", [-1, 0, 2**53, 10**30, "1", 1.5, None, True, [], {}])
async def test_absurd_amounts_are_invalid_input_and_change_nothing(amount, shared_http, url):
    auction = await open_auction(await sign_up(shared_http, "seller"))
    bidder = await sign_up(shared_http)
    answer = await bidder.post(f"/v1/auctions/{auction['id']}/bids", {"amount": amount}, key="k")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert answer.json()["errors"][0]["pointer"] == "/amount"
    async with Socket(url, bidder.tokens["access_token"]) as socket:
        with pytest.raises(ReplyError) as refused:
            await socket.rpc("auctions.place_bid", auction_id=auction["id"], amount=amount, key="k")
        assert refused.value.code == answer.json()["number"]
    assert (await bidder.get(f"/v1/auctions/{auction['id']}")).json()["bid_count"] == 0


async def test_an_auction_closes_on_time_and_tells_everybody(shared_http, url):
    seller = await sign_up(shared_http, "seller")
    auction = await open_auction(seller, ends_at=in_seconds(6))
    winner, loser = await sign_up(shared_http), await sign_up(shared_http)
    async with (
        Socket(url, winner.tokens["access_token"]) as winning,
        Socket(url, loser.tokens["access_token"]) as losing,
        Socket(url, seller.tokens["access_token"]) as selling,
    ):
        watcher = await selling.watch(f"auctions:{auction['id']}")
        await losing.rpc("auctions.place_bid", auction_id=auction["id"], amount=2000, key="1")
        await winning.rpc("auctions.place_bid", auction_id=auction["id"], amount=3000, key="2")
        await watcher.until(4, timeout_s=20)
        assert watcher.seen[-1][1]["type"] == "auction_closed"
        assert watcher.seen[-1][1]["outcome"] == "sold"
        ends_at = datetime.fromisoformat(auction["ends_at"]).timestamp()
        closed_at = datetime.fromisoformat(watcher.seen[-1][1]["at"]).timestamp()
        assert 0 <= closed_at - ends_at < 2
        await until(lambda: winning.personal and losing.personal[1:])
        assert [d["type"] for _, d in winning.personal] == ["auction_won"]
        assert [d["type"] for _, d in losing.personal] == ["outbid", "auction_lost"]
        with pytest.raises(ReplyError, match="auction_not_live"):
            await winning.rpc("auctions.place_bid", auction_id=auction["id"], amount=9000, key="late")


async def test_a_logout_closes_that_sessions_sockets_on_every_process_within_a_second(shared_http, url):
    player = await sign_up(shared_http)
    login = await shared_http.post(
        "/v1/auth/login", json={"email": player.email, "password": "correct horse battery"}
    )
    sockets = [await Socket(url, player.tokens["access_token"]).__aenter__() for _ in range(8)]
    async with Socket(url, login.json()["tokens"]["access_token"]) as other_session:
        before = time.monotonic()
        assert (await player.post("/v1/auth/logout", {})).status_code == 200
        while any(socket.client.state.value == "connected" for socket in sockets):
            assert time.monotonic() - before < 1
            await asyncio.sleep(0.01)
        assert (await player.get("/v1/auth/me")).status_code == 401
        assert (await other_session.rpc("auth.get_me"))["id"] == player.user_id
    for socket in sockets:
        await socket.__aexit__()


async def test_a_long_poll_and_the_ticker_say_the_same(shared_http, url):
    auction = await open_auction(await sign_up(shared_http, "seller"))
    bidder = await sign_up(shared_http)
    async with Socket(url, bidder.tokens["access_token"]) as socket:
        ticker = await socket.watch(f"ticker:{auction['id']}")
        path = f"/v1/channels/auctions:{auction['id']}/events?after=1&wait_s=10"
        poll = asyncio.create_task(shared_http.get(path))
        await asyncio.sleep(0.3)
        placed = await socket.rpc("auctions.place_bid", auction_id=auction["id"], amount=2500, key="1")
        events = (await poll).json()
        assert [(e["offset"], e["data"]["type"]) for e in events["events"]] == [(2, "bid_placed")]
        await ticker.until(placed["offset"])
        assert ticker.seen[-1][1]["price"] == events["events"][0]["data"]["price"] == placed["price"]
