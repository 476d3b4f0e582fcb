"""Viewer counts on real Redis: the sum over processes, without those that do not repeat theirs."""

from pathlib import Path

import pytest

from protocols.errors import TemporarilyUnavailable
from storage.engines.redis import open_redis
from storage.platform.viewer_counts_redis import RedisViewerCounts
from tests.support.waiting import until


async def test_the_counts_of_processes_add_up(redis):
    one, other = RedisViewerCounts(redis), RedisViewerCounts(redis)
    assert await one.count("a") == 0
    await one.set_counts({"a": 40, "b": 1})
    await other.set_counts({"a": 7})
    await one.set_counts({"a": 35})
    await one.set_counts({"a": 35})
    assert (await one.count("a"), await other.count("b")) == (42, 1)
    await one.set_counts({"a": 0, "b": 0, "c": 0})
    assert (await other.count("a"), await other.count("b")) == (7, 0)
    await other.set_counts({"a": 0})
    for group in "abc":
        assert await redis.keys(f"viewers:{{{group}}}*") == []


async def test_the_counts_of_a_process_that_does_not_repeat_them_expire(redis):
    dead, alive = RedisViewerCounts(redis, lifetime_s=0.3), RedisViewerCounts(redis, lifetime_s=0.3)
    await dead.set_counts({"dying": 10, "alone": 3})

    async def only_the_living_count():
        await alive.set_counts({"dying": 1})
        await alive.set_counts({"dying": 2})
        return (await alive.count("dying"), await alive.count("alone")) == (2, 0)

    await until(only_the_living_count)
    assert await redis.keys("viewers:{alone}*") == []


async def test_outage_is_a_temporary_fault(tmp_path: Path):
    nobody = open_redis(f"unix://{tmp_path}/nobody.sock")
    viewer_counts = RedisViewerCounts(nobody)
    for query in (viewer_counts.set_counts({"a": 1}), viewer_counts.count("a")):
        with pytest.raises(TemporarilyUnavailable):
            await query
    await nobody.aclose()
