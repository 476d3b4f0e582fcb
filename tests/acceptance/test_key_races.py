"""One idempotency key, sent at the same moment to both doors of two server processes: one effect, one answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect

from protocols.values import new_id
from tests.support.players import Player, open_auction, sign_up
from tests.support.system import System

KEYS = 50


def serving_pid(system: System, client_port: int) -> int:
    """Return the server process that holds the other end of a connection of ours."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = (f":{system.port:04X}", f":{client_port:04X}")
    (inode,) = (row[9] for row in rows if row[1].endswith(ends[0]) and row[2].endswith(ends[1]))
    for pid in system.server_pids():
        links = (fd.readlink() for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink())
        if any(str(link) == f"socket:[{inode}]" for link in links):
            return pid
    raise AssertionError(f"no server process serves port {client_port}\n{system.logs()}")


@dataclass(slots=True)
class Doors:
    """A person with a websocket to one process and an HTTP connection to another."""

    http: httpx.AsyncClient
    socket: ClientConnection
    who: Player
    number: int = 1

    async def rest(self, path: str, body: dict, key: str) -> dict:
        headers = self.who.headers | {"Idempotency-Key": key}
        answer = await self.http.post(path, json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.json() | {"replayed": answer.headers.get("idempotent-replay") == "true"}

    async def rpc(self, method: str, fields: dict, key: str) -> dict:
        self.number += 1
        call = {"id": self.number, "rpc": {"method": method, "data": fields | {"key": key}}}
        await self.socket.send(json.dumps(call))
        reply = await self.reply(self.number)
        assert "rpc" in reply, reply
        return {"replayed": False} | reply["rpc"]["data"]

    async def reply(self, number: int) -> dict:
        """Return a reply; pushes and pings in between are passed over."""
        while True:
            for line in str(await self.socket.recv()).splitlines():
                if (reply := json.loads(line)).get("id") == number:
                    return reply

    async def both(self, turn: int, path: str, method: str, path_fields: dict, body: dict) -> tuple:
        """Send one key to both doors at once, every other time to the other one first."""
        key = str(new_id())
        calls = [self.rest(path, body, key), self.rpc(method, path_fields | body, key)]
        async with asyncio.timeout(10):
            return tuple(await asyncio.gather(*(calls if turn % 2 else calls[::-1])))


@pytest_asyncio.fixture
async def doors(shared_system, shared_http) -> AsyncIterator[Doors]:
    who = await sign_up(shared_http)
    async with AsyncExitStack() as opened:
        socket = await opened.enter_async_context(connect(shared_system.websocket_url, proxy=None))
        taken = serving_pid(shared_system, socket.local_address[1])
        for _ in range(50):
            client = httpx.AsyncClient(base_url=shared_system.base_url, timeout=20, trust_env=False)
            http = await opened.enter_async_context(client)
            answer = await http.get("/health/live")
            port = answer.extensions["network_stream"].get_extra_info("client_addr")[1]
            if serving_pid(shared_system, port) != taken:
                break
        else:
            raise AssertionError("fifty connections, and all of them to one process")
        made = Doors(http, socket, who)
        await socket.send(json.dumps({"id": 1, "connect": {"token": who.tokens["access_token"]}}))
        assert "connect" in await made.reply(1)
        yield made


def assert_one_answer(answers: tuple[dict, dict]) -> None:
    """Both are told the same, one of them that it is the first answer again."""
    assert sorted(answer.pop("replayed") for answer in answers) == [False, True]
    assert answers[0] == answers[1]


async def test_a_bid_is_placed_once_whichever_door_and_process_its_key_comes_through(doors, shared_http):
    auction = await open_auction(await sign_up(shared_http, "seller"))
    path = f"/v1/auctions/{auction['id']}"
    fields = {"auction_id": auction["id"]}
    for turn in range(KEYS):
        body = {"amount": 5000 + turn * 1000}
        answers = await doors.both(turn, f"{path}/bids", "auctions.place_bid", fields, body)
        assert_one_answer(answers)
    state = (await shared_http.get(path)).json()
    assert (state["bid_count"], state["position"]["offset"]) == (KEYS, KEYS + 1), (
        "one event each, after the opening"
    )


async def test_a_listing_is_made_once_whichever_door_and_process_its_key_comes_through(doors):
    for turn in range(KEYS):
        body = {"title": f"Lamp {turn}", "description": "", "category": "other", "condition": "used"}
        answers = await doors.both(turn, "/v1/listings", "listings.create_listing", {}, body)
        assert_one_answer(answers)
    own = await doors.http.get("/v1/listings/own?limit=100", headers=doors.who.headers)
    assert len(own.json()["items"]) == KEYS
