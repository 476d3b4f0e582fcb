"""Support sees who is behind in a channel, over all processes, as far as clients report it."""

import asyncio
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.acceptance.test_grant import grant
from tests.support.players import PASSWORD, Player, Socket, open_auction, sign_up
from tests.support.system import System

READERS = 8
"""So many that both processes have some (the kernel spreads them)."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def support(shared_http: httpx.AsyncClient, shared_system: System) -> Player:
    player = await sign_up(shared_http, "support")
    assert grant(shared_system, player.email, "support").returncode == 0
    answer = await shared_http.post("/v1/auth/login", json={"email": player.email, "password": PASSWORD})
    return Player(shared_http, player.user_id, player.email, answer.json()["tokens"])


async def lag_of(support: Player, channel: str, **query: Any) -> dict[str, Any]:
    answer = await support.http.get(f"/v1/channels/{channel}/lag", params=query, headers=support.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def lag_when(support: Player, channel: str, readers: int) -> dict[str, Any]:
    """The answer once so many readers are known."""
    async with asyncio.timeout(5):
        while (told := await lag_of(support, channel))["readers"] != readers:
            await asyncio.sleep(0.05)
    return told


async def test_who_is_behind_is_seen_until_they_leave(shared_system, shared_http, support):
    auction = await open_auction(await sign_up(shared_http, "seller"))
    channel = f"auctions:{auction['id']}"
    bidder = await sign_up(shared_http)
    for number in range(4):
        body = {"auction_id": auction["id"], "amount": 2000 + 1000 * number}
        assert (
            await bidder.post(f"/v1/auctions/{auction['id']}/bids", body, key=str(number))
        ).status_code == 201
    people = [await sign_up(shared_http) for _ in range(READERS)]
    sockets = [
        await Socket(shared_system.websocket_url, person.tokens["access_token"]).__aenter__()
        for person in people
    ]
    for place, socket in enumerate(sockets):
        await socket.watch(channel)
        offset = min(place, 5)
        assert await socket.rpc("realtime.report_offset", channel=channel, offset=offset) == {
            "offset": offset
        }
    told = await lag_when(support, channel, READERS)
    assert (told["channel"], told["top"], told["behind"], told["next_cursor"]) == (channel, 5, 5, None)
    assert [(item["offset"], item["lag"]) for item in told["items"]] == [(n, 5 - n) for n in range(5)]
    assert [item["user_id"] for item in told["items"]] == [person.user_id for person in people[:5]]
    events = (await shared_http.get(f"/v1/channels/{channel}/events")).json()["events"]
    assert [item["behind_since"] for item in told["items"]] == [event["at"] for event in events]
    seen, cursor = [], {}
    while cursor is not None:
        page = await lag_of(support, channel, limit=2, **cursor)
        seen += page["items"]
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None
    assert (seen, len(page["items"])) == (told["items"], 1)

    await sockets[0].rpc("realtime.report_offset", channel=channel, offset=5)
    for socket in sockets[1:]:
        await socket.__aexit__()
    told = await lag_when(support, channel, 1)
    assert (told["behind"], told["items"]) == (0, [])
    await sockets[0].__aexit__()
    await lag_when(support, channel, 0)


async def test_only_support_asks(shared_system, shared_http, support):
    auction = await open_auction(await sign_up(shared_http, "seller"))
    path = f"/v1/channels/auctions:{auction['id']}/lag"
    anybody = await sign_up(shared_http)
    assert (await shared_http.get(path)).status_code == 401
    assert (await anybody.get(path)).status_code == 403
    async with Socket(shared_system.websocket_url, support.tokens["access_token"]) as socket:
        told = await socket.rpc("realtime.get_lag", channel=f"auctions:{auction['id']}")
    assert (told["top"], told["readers"]) == (1, 0)


async def test_foreign_cursor_is_refused(shared_http, support):
    auction = await open_auction(await sign_up(shared_http, "seller"))
    for cursor in ("nonsense", "WzEsMl0", "Wy0xLCJhIl0"):
        answer = await support.get(f"/v1/channels/auctions:{auction['id']}/lag?cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")


@pytest.mark.parametrize(
    ("channel", "status", "code"),
    [
        ("nope", 404, "unknown_channel"),
        ("ticker:019ab3c0-0000-7000-8000-000000000000", 404, "unknown_channel"),
        ("auctions:019ab3c0-0000-7000-8000-000000000000", 404, "unknown_channel"),
        ("x" * 300, 400, "invalid_input"),
    ],
)
async def test_channel_without_offsets_is_refused(support, channel, status, code):
    answer = await support.get(f"/v1/channels/{channel}/lag")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
