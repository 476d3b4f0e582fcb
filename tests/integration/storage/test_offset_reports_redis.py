"""Reports of clients on real Redis: entered by any process, the furthest behind first, forgotten when not repeated."""

from pathlib import Path

import pytest

from protocols.errors import TemporarilyUnavailable
from storage.engines.redis import open_redis
from storage.platform.offset_reports_redis import Behind, RedisOffsetReports
from tests.support.waiting import until

AT_MS = 1_790_000_000_000


def report(channel, client, offset, user="amina"):
    return (channel, client, user, offset, AT_MS)


async def test_who_is_behind_is_told_by_any_process(redis):
    here, elsewhere = RedisOffsetReports(redis), RedisOffsetReports(redis)
    await here.apply([report("a", "c1", 5), report("a", "c2", 9), report("b", "c1", 1)])
    await elsewhere.apply([report("a", "c3", 2, "ba:du é"), report("a", "c1", 6), report("a", "c4", 10)])
    readers = await here.behind("a", 10, 2)
    assert (readers.count, readers.behind_count) == (4, 3)
    assert readers.behind == [Behind("c3", "ba:du é", 2, AT_MS), Behind("c1", "amina", 6, AT_MS)]
    await here.apply([report("a", "c3", -1), report("a", "c9", -1)])
    readers = await elsewhere.behind("a", 10, 10)
    assert [one.client for one in readers.behind] == ["c1", "c2"]
    assert readers.count == 3


async def test_pages_follow_one_another_though_the_last_one_shown_moves_or_goes(redis):
    reports = RedisOffsetReports(redis)
    await reports.apply([report("p", f"c{n}", n // 3) for n in range(9)])
    first = await reports.behind("p", 9, 4)
    assert [one.client for one in first.behind] == ["c0", "c1", "c2", "c3"]
    rest = [f"c{n}" for n in range(4, 9)]
    for change in ([], [report("p", "c3", 8)], [report("p", "c3", -1)]):
        await reports.apply(change)
        page = await reports.behind("p", 9, 9, (1, "c3"))
        moved = ["c3"] if change and change[0][3] == 8 else []
        assert [one.client for one in page.behind] == rest + moved
    assert (await reports.behind("p", 9, 9)).count == 8, "looking for a place leaves nothing behind"
    assert [one.client for one in (await reports.behind("p", 2, 9, (1, "c4"))).behind] == ["c5"]
    for top, after in ((9, (9, "z")), (0, None), (0, (0, "c1"))):
        assert (await reports.behind("p", top, 9, after)).behind == []


async def test_nobody_is_behind_in_an_unknown_channel(redis):
    readers = await RedisOffsetReports(redis).behind("nobody", 10, 10)
    assert (readers.count, readers.behind_count, readers.behind) == (0, 0, [])


async def test_who_is_not_repeated_is_forgotten_without_a_trace(redis):
    reports = RedisOffsetReports(redis, lifetime_s=0.3)
    await reports.apply([report("dying", "c1", 1), report("dying", "c2", 1)])

    async def only_the_repeated_is_there():
        await reports.apply([report("dying", "c2", 1)])
        return [one.client for one in (await reports.behind("dying", 9, 9)).behind] == ["c2"]

    await until(only_the_repeated_is_there)

    async def nobody_is_there():
        return (await reports.behind("dying", 9, 9)).count == 0

    await until(nobody_is_there)
    assert await redis.keys("reports:{dying}*") == []


async def test_the_last_to_leave_leaves_no_key(redis):
    reports = RedisOffsetReports(redis)
    await reports.apply([report("left", "c1", 1)])
    await reports.apply([report("left", "c1", -1)])
    assert await redis.keys("reports:{left}*") == []


async def test_outage_is_a_temporary_fault(tmp_path: Path):
    nobody = open_redis(f"unix://{tmp_path}/nobody.sock")
    reports = RedisOffsetReports(nobody)
    for question in (reports.apply([report("a", "c1", 1)]), reports.behind("a", 1, 1)):
        with pytest.raises(TemporarilyUnavailable):
            await question
    await nobody.aclose()
