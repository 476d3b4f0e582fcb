"""How many are watching an auction, over both processes: a number for everybody, names for nobody."""

import asyncio

import pytest
from centrifuge import ReplyError

from tests.support.players import Socket, open_auction, sign_up

VIEWERS = 6
"""So many that both processes have some (the kernel spreads them)."""


async def page_when(http, auction_id, watching):
    async with asyncio.timeout(10):
        while True:
            page = (await http.get(f"/v1/auctions/{auction_id}/page")).json()
            if page["watching_now"] == watching:
                return page
            await asyncio.sleep(0.1)


async def test_everybody_sees_how_many_are_watching_and_nobody_who(shared_system, shared_http):
    auction_id = (await open_auction(await sign_up(shared_http, "seller")))["id"]
    channel = f"auctions:{auction_id}"
    sockets = [await Socket(shared_system.websocket_url).__aenter__() for _ in range(VIEWERS)]
    for index, socket in enumerate(sockets):
        await socket.watch(channel)
        if index % 2:
            await socket.watch(f"ticker:{auction_id}")
    page = await page_when(shared_http, auction_id, VIEWERS)
    for name in (channel, f"ticker:{auction_id}"):
        stats = await sockets[0].client.presence_stats(name)
        assert (stats.num_clients, stats.num_users) == (VIEWERS, VIEWERS)
        with pytest.raises(ReplyError) as refused:
            await sockets[0].client.presence(name)
        assert refused.value.code == 108
    for socket in sockets:
        await socket.__aexit__()
    assert (await page_when(shared_http, auction_id, 0))["version"] == page["version"]
