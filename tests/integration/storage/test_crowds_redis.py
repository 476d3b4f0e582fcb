"""Sizes of crowds on real Redis: the sum over processes, without those that do not tell again."""

from pathlib import Path

import pytest

from protocols.errors import TemporarilyUnavailable
from storage.engines.redis import open_redis
from storage.platform.viewer_counts_redis import RedisViewerCounts
from tests.support.waiting import until


async def test_processes_add_up_and_each_tells_for_itself(redis):
    one, other = RedisViewerCounts(redis), RedisViewerCounts(redis)
    assert await one.count("a") == 0
    await one.tell({"a": 40, "b": 1})
    await other.tell({"a": 7})
    await one.tell({"a": 35})
    await one.tell({"a": 35})
    assert (await one.count("a"), await other.count("b")) == (42, 1)
    await one.tell({"a": 0, "b": 0, "c": 0})
    assert (await other.count("a"), await other.count("b")) == (7, 0)
    await other.tell({"a": 0})
    for crowd in "abc":
        assert await redis.keys(f"crowd:{{{crowd}}}*") == []


async def test_a_process_that_does_not_tell_again_is_forgotten(redis):
    dead, alive = RedisViewerCounts(redis, lifetime_s=0.3), RedisViewerCounts(redis, lifetime_s=0.3)
    await dead.tell({"dying": 10, "alone": 3})

    async def only_the_living_count():
        await alive.tell({"dying": 1})
        await alive.tell({"dying": 2})
        return (await alive.count("dying"), await alive.count("alone")) == (2, 0)

    await until(only_the_living_count)
    assert await redis.keys("crowd:{alone}*") == []


async def test_outage_is_a_temporary_fault(tmp_path: Path):
    nobody = open_redis(f"unix://{tmp_path}/nobody.sock")
    crowds = RedisViewerCounts(nobody)
    for question in (crowds.tell({"a": 1}), crowds.count("a")):
        with pytest.raises(TemporarilyUnavailable):
            await question
    await nobody.aclose()
