"""Long polls over real HTTP and a real events table."""

import asyncio
import time

import httpx
import pytest

from handlers.contract import Caller
from protocols.values import new_id
from server.http import channels as polls
from server.http.shares import holders_of
from tests.support.waiting import until


async def add(door, counter_id, amount=1):
    caller, _ = door.sign_in()
    data = b'{"counter_id":"%s","amount":%d,"key":"%s"}' % (
        str(counter_id).encode(),
        amount,
        str(new_id()).encode(),
    )
    await door.table.call("counters.add_up", data, caller)


@pytest.fixture
async def channel(door):
    counter_id = await door.counter()
    return counter_id, f"/v1/channels/auctions:{counter_id}/events"


async def test_events_after_an_offset_come_in_order(http, door, channel):
    counter_id, path = channel
    for _ in range(5):
        await add(door, counter_id)
    answer = (await http.get(path, params={"after": 2, "limit": 2})).json()
    assert [event["offset"] for event in answer["events"]] == [3, 4]
    assert answer["offset"] == 4
    assert answer["epoch"] == await door.pool.fetchval("SELECT epoch FROM database_epoch")
    first = answer["events"][0]
    assert first["data"] == {"type": "added", "at": first["at"], "value": 3}
    assert (await http.get(path, params={"after": 5})).json() | {"epoch": ""} == {
        "epoch": "",
        "recovered": True,
        "events": [],
        "offset": 5,
    }


async def polls_wait(http, count):
    return f"mnbara_waiting_polls {count}.0" in (await http.get("/metrics")).text


async def test_a_poll_waits_for_the_next_event(http, door, channel):
    counter_id, path = channel
    poll = asyncio.create_task(http.get(path, params={"after": 0, "wait_s": 25}))
    await until(lambda: polls_wait(http, 1))
    started = time.monotonic()
    await add(door, counter_id)
    answer = (await poll).json()
    assert [event["offset"] for event in answer["events"]] == [1]
    assert time.monotonic() - started < 20, "the event ends the wait"


async def test_a_poll_whose_publication_is_lost_still_gets_the_event(http, door, channel, monkeypatch):
    counter_id, path = channel
    monkeypatch.setattr(polls, "LOOK_AGAIN_S", 0.3)
    monkeypatch.setattr(door.pipeline, "_publish", lambda _: None)
    poll = asyncio.create_task(http.get(path, params={"wait_s": 25}))
    await until(lambda: polls_wait(http, 1))
    await add(door, counter_id)
    answer = (await asyncio.wait_for(poll, 30)).json()
    assert answer["offset"] == 1


async def test_a_poll_ends_when_its_time_is_over(http, channel):
    started = time.monotonic()
    answer = await http.get(channel[1], params={"wait_s": "0.5"})
    assert answer.json()["events"] == []
    assert answer.json()["offset"] == 0
    assert time.monotonic() - started > 0.4


@pytest.mark.parametrize("position", [{"after": 3}, {"after": 2**53 - 1}, {"after": 1, "epoch": "another"}])
async def test_a_position_that_the_channel_does_not_have_is_told_at_once(http, door, channel, position):
    counter_id, path = channel
    await add(door, counter_id)
    await add(door, counter_id)
    answer = (await asyncio.wait_for(http.get(path, params={**position, "wait_s": 20}), 10)).json()
    epoch = answer.pop("epoch")
    assert answer == {"recovered": False, "events": [], "offset": 2}
    assert "mnbara_waiting_polls 0.0" in (await http.get("/metrics")).text
    again = (await http.get(path, params={"after": 1, "epoch": epoch})).json()
    assert (again["recovered"], again["offset"]) == (True, 2)


async def test_events_that_are_kept_no_longer_are_not_passed_over(http, door, channel):
    counter_id, path = channel
    for _ in range(3):
        await add(door, counter_id)
    await door.pool.execute("DELETE FROM events WHERE stream = $1 AND number < 3", f"auctions:{counter_id}")
    answers = [(await http.get(path, params={"after": after})).json() for after in (0, 1, 2)]
    assert [(answer["recovered"], answer["offset"]) for answer in answers] == [
        (False, 3),
        (False, 3),
        (True, 3),
    ]


async def test_a_client_that_leaves_frees_its_place(door, http, channel):
    async with httpx.AsyncClient(base_url=door.url) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(channel[1], params={"wait_s": 20}, timeout=0.3)
    await until(lambda: polls_wait(http, 0))


async def test_one_caller_may_not_hold_all_places(http, door, channel, monkeypatch):
    monkeypatch.setattr(polls, "WAITING_PER_CALLER_MAX", 2)
    _, me = door.sign_in()
    _, other = door.sign_in()
    counter_id, path = channel
    mine = [asyncio.create_task(http.get(path, params={"wait_s": 25}, headers=me)) for _ in range(2)]
    await until(lambda: polls_wait(http, 2))
    third = await http.get(channel[1], params={"wait_s": 1}, headers=me)
    assert (third.status_code, third.json()["code"], third.headers["retry-after"]) == (
        429,
        "rate_limited",
        "1",
    )
    assert (await http.get(channel[1], headers=me)).status_code == 200
    assert (await http.get(channel[1], params={"wait_s": "0.1"}, headers=other)).status_code == 200
    await add(door, counter_id)
    assert {(await poll).status_code for poll in mine} == {200}


async def test_polls_of_one_ipv6_network_are_counted_together():
    networks = [holders_of(Caller(remote_ip=f"2001:db8:1:2::{last}"), 16) for last in (1, 2)]
    assert networks[0] == networks[1] == [("2001:db8:1:2::/64", 16), ("2001:db8:1::/48", 128)]


async def test_the_process_bounds_its_waiting_polls(http, channel, monkeypatch):
    monkeypatch.setattr(polls, "WAITING_MAX", 0)
    answer = await http.get(channel[1], params={"wait_s": 1})
    assert (answer.status_code, answer.json()["code"]) == (503, "temporarily_unavailable")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("after=-1", "/after"),
        ("after=x", "/after"),
        ("limit=0", "/limit"),
        ("limit=1001", "/limit"),
        ("wait_s=26", "/wait_s"),
        ("wait_s=nan", "/wait_s"),
        ("after=1&after=2", "/after"),
        ("channel=auctions:x", "/channel"),
        ("nope=1", "/nope"),
    ],
)
async def test_a_bad_poll_is_refused(http, channel, query, pointer):
    answer = await http.get(f"{channel[1]}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("name", "status", "word"),
    [
        ("nope:1", 404, "unknown_channel"),
        ("auctions", 404, "unknown_channel"),
        ("ticker:1", 404, "unknown_channel"),
        ("personal:%23018f0000-0000-7000-8000-000000000000", 403, "not_allowed"),
        ("x" * 300, 400, "invalid_input"),
    ],
)
async def test_a_channel_that_is_not_ones_own_is_refused(http, name, status, word):
    answer = await http.get(f"/v1/channels/{name}/events")
    assert (answer.status_code, answer.json()["code"]) == (status, word)


async def test_a_user_reads_their_personal_channel(http, door):
    caller, me = door.sign_in()
    answer = await http.get(f"/v1/channels/personal:%23{caller.user_id}/events", headers=me)
    assert answer.status_code == 200
