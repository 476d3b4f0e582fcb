"""Presence on real Redis: entered by any process, counted by user, forgotten when nobody repeats it."""

from pathlib import Path

import pytest

from protocols.errors import TemporarilyUnavailable
from storage.engines.redis import open_redis
from storage.platform.presence_redis import RedisPresence
from tests.support.waiting import until


def info(user, client):
    return b'{"user":"%b","client":"%b"}' % (user.encode(), client.encode())


def entered(channel, client, user="amina"):
    return (channel, client, user, info(user, client))


async def test_who_entered_is_listed_and_counted_until_it_leaves(redis):
    here, elsewhere = RedisPresence(redis), RedisPresence(redis)
    await here.apply([entered("a", "c1"), entered("a", "c2"), entered("b", "c1")])
    await elsewhere.apply([entered("a", "c3", "ba:du é")])
    assert await here.members("a", 10) == {
        "c1": info("amina", "c1"),
        "c2": info("amina", "c2"),
        "c3": info("ba:du é", "c3"),
    }
    assert await here.count("a") == (3, 2)
    await here.apply([("a", "c1", "amina", None), ("a", "c3", "ba:du é", None)])
    assert await elsewhere.count("a") == (1, 1)
    assert await here.members("b", 10) == {"c1": info("amina", "c1")}


async def test_entering_and_leaving_again_counts_once(redis):
    presence = RedisPresence(redis)
    await presence.apply([entered("again", "c1")] * 3 + [entered("again", "c1", "badu")])
    assert await presence.count("again") == (1, 1)
    await presence.apply([("again", "c1", "badu", None)] * 2)
    assert await presence.count("again") == (0, 0)
    assert await redis.keys("presence:{again}*") == []


async def test_anonymous_clients_count_as_one_user(redis):
    presence = RedisPresence(redis)
    await presence.apply([entered("anonymous", "c1", ""), entered("anonymous", "c2", "")])
    assert await presence.count("anonymous") == (2, 1)


async def test_who_is_not_repeated_is_forgotten_and_the_others_stay(redis):
    presence = RedisPresence(redis, lifetime_s=0.3)
    await presence.apply([entered("dying", "c1"), entered("dying", "c2")])

    async def only_the_repeated_is_there():
        await presence.apply([entered("dying", "c2")])
        return list(await presence.members("dying", 10)) == ["c2"]

    await until(only_the_repeated_is_there)

    async def nobody_is_there():
        return await presence.count("dying") == (0, 0)

    await until(nobody_is_there)
    assert await redis.keys("presence:{dying}*") == []


async def test_crowd_above_the_limit_is_not_listed(redis):
    presence = RedisPresence(redis)
    await presence.apply([entered("crowd", f"c{n}") for n in range(11)])
    assert await presence.members("crowd", 10) is None
    assert len(await presence.members("crowd", 11)) == 11


async def test_outage_is_a_temporary_fault(tmp_path: Path):
    nobody = open_redis(f"unix://{tmp_path}/nobody.sock")
    presence = RedisPresence(nobody)
    for question in (presence.apply([entered("a", "c")]), presence.members("a", 1), presence.count("a")):
        with pytest.raises(TemporarilyUnavailable):
            await question
    await nobody.aclose()
