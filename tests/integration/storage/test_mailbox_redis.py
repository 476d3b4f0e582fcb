"""Letters between processes on real Redis: in order, to the one named, refused when nobody has that name."""

import asyncio
from pathlib import Path

import pytest

from protocols.errors import TemporarilyUnavailable
from server.local.engines import LocalEngines
from storage.platform import mailbox_redis
from storage.platform.mailbox_redis import RedisMailbox
from tests.support.engines import ROOT, free_home
from tests.support.waiting import until


async def open_mailbox(redis_url: str, node: str) -> tuple[RedisMailbox, list[tuple[str, bytes]]]:
    mailbox, letters = RedisMailbox(redis_url, node), []
    await mailbox.start(lambda session, data: letters.append((session, data)))
    return mailbox, letters


async def test_a_letter_reaches_the_process_it_names_and_no_other(redis_url):
    (a, at_a), (b, at_b), (c, at_c) = [await open_mailbox(redis_url, name) for name in "abc"]
    for number in range(50):
        assert await a.send("b", f"s{number}", b"\x00\xff\n%d" % number)
    await until(lambda: len(at_b) == 50)
    assert at_b == [(f"s{number}", b"\x00\xff\n%d" % number) for number in range(50)]
    assert at_a == at_c == []
    await asyncio.gather(a.close(), b.close(), c.close())


async def test_nobody_of_that_name_is_said_at_once(redis_url):
    (a, _), (b, _) = [await open_mailbox(redis_url, name) for name in "ab"]
    assert not await a.send("nobody", "s", b"x")
    await b.close()

    async def nobody_hears():
        return not await a.send("b", "s", b"x")

    await until(nobody_hears)
    await a.close()


async def test_one_letter_that_cannot_be_read_does_not_end_the_others(redis_url, redis):
    b, at_b = await open_mailbox(redis_url, "b")
    assert await redis.publish("mnbara:node:b", b"\xc1garbage") == 1
    assert await b.send("b", "s", b"x")
    await until(lambda: at_b == [("s", b"x")])
    await b.close()


async def test_more_letters_than_may_be_on_their_way_are_refused(redis_url, monkeypatch):
    monkeypatch.setattr(mailbox_redis, "LETTERS_AT_ONCE_MAX", 20)
    (a, _), (b, at_b) = [await open_mailbox(redis_url, name) for name in "ab"]
    sent = await asyncio.gather(*(a.send("b", "s", b"x" * 100) for _ in range(30)), return_exceptions=True)
    refused = [one for one in sent if one is not True]
    assert len(refused) == 10
    assert {type(one) for one in refused} == {TemporarilyUnavailable}
    await until(lambda: len(at_b) == 20)
    await asyncio.gather(a.close(), b.close())


@pytest.fixture
def own_engines():
    with free_home(Path(ROOT / ".local" / "test-mailbox")) as home:
        engines = LocalEngines(home, fsync=False, names=("redis",))
        engines.start()
        yield engines
        engines.stop()


async def test_an_outage_is_said_and_survived(own_engines):
    url = own_engines.urls().redis_url
    (a, _), (b, at_b) = [await open_mailbox(url, name) for name in "ab"]
    own_engines.children["redis"].kill()
    own_engines.children["redis"].wait()
    with pytest.raises(TemporarilyUnavailable):
        await a.send("b", "s", b"lost")
    own_engines.spawn("redis")

    async def delivered() -> bool:
        try:
            return await a.send("b", "s", b"x")
        except TemporarilyUnavailable:
            return False

    async with asyncio.timeout(8):
        while not await delivered():
            await asyncio.sleep(0.05)
    await until(lambda: at_b == [("s", b"x")])
    await asyncio.gather(a.close(), b.close())
