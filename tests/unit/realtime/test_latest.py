"""A latest channel: newest wins, first at once, trailing value always, a full reader skips."""

import asyncio
import json
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.ports import Entry, Lane
from tests.support.realtime_readers import Reader, quiet_hub
from tests.support.waiting import until

NAME = "ticker:1"


async def opened(hub):
    await hub.start()
    return await hub.open(NAME, Lane.LATEST)


def value(number: int, key: str = "") -> Entry:
    return Entry(number, b"%d" % number, 0, key)


async def test_first_value_goes_at_once_then_the_newest_once_an_interval():
    hub = quiet_hub()
    channel = await opened(hub)
    reader = Reader(hub)
    channel.add(reader, 50)
    hub.deliver(NAME, [value(1)])
    await asyncio.sleep(0)
    assert reader.numbers() == [1]
    for number in range(2, 30):
        hub.deliver(NAME, [value(number)])
    assert reader.numbers() == [1]
    await until(lambda: reader.numbers() == [1, 29])
    await asyncio.sleep(0.06)
    hub.deliver(NAME, [value(30)])
    await asyncio.sleep(0)
    assert reader.numbers() == [1, 29, 30]
    await hub.stop()


async def test_while_the_bus_is_silent_values_are_read_anew():
    hub = quiet_hub(silent_sweep_s=0.01)
    channel = await opened(hub)
    reader = Reader(hub)
    channel.add(reader, 0)
    hub.log.values[NAME] = {"": value(7)}
    hub.bus.silent = True
    await until(lambda: reader.numbers() == [7])
    hub.log.values[NAME] = {"": value(8)}
    await until(lambda: reader.numbers() == [7, 8])
    await hub.stop()


async def test_an_older_value_whose_timer_is_late_never_follows_a_newer_one():
    hub = quiet_hub()
    channel = await opened(hub)
    reader = Reader(hub)
    channel.add(reader, 10)
    hub.deliver(NAME, [value(1)])
    hub.deliver(NAME, [value(2)])  # waits for its interval
    time.sleep(0.02)  # noqa: ASYNC251 - the loop is busy: the interval is over, its timer has not run yet
    hub.deliver(NAME, [value(3)])
    await until(lambda: reader.numbers() == [1, 3])
    await hub.stop()


async def test_rate_stays_under_the_interval_under_load_and_the_last_value_arrives():
    hub = quiet_hub()
    channel = await opened(hub)
    reader = Reader(hub)
    channel.add(reader, 20)
    started = hub.loop.time()
    number = 0
    while hub.loop.time() - started < 0.3:
        number += 1
        hub.deliver(NAME, [value(number)])
        await asyncio.sleep(0.001)
    took_s = hub.loop.time() - started
    await until(lambda: reader.numbers()[-1] == number)
    assert len(reader.numbers()) <= took_s / 0.02 + 2
    assert reader.numbers() == sorted(set(reader.numbers()))
    await hub.stop()


async def test_older_value_is_dropped():
    hub = quiet_hub()
    channel = await opened(hub)
    reader = Reader(hub)
    channel.add(reader, 0)
    for number in (5, 4, 5, 6):
        hub.deliver(NAME, [value(number)])
    await asyncio.sleep(0)
    assert reader.numbers() == [5, 6]
    await hub.stop()


async def test_keys_do_not_hide_each_other():
    hub = quiet_hub()
    channel = await opened(hub)
    reader = Reader(hub)
    channel.add(reader, 50)
    hub.deliver(NAME, [value(9, "a"), value(3, "b")])
    hub.deliver(NAME, [value(10, "a"), value(4, "b"), value(5, "b")])

    def shown(key):
        return [pub["offset"] for pub in reader.pushes() if pub["key"] == key]

    await until(lambda: (shown("a"), shown("b")) == ([9, 10], [3, 5]))
    await hub.stop()


async def test_full_reader_gets_only_the_newest_of_each_key_after_it_drained():
    hub = quiet_hub()
    channel = await opened(hub)
    full, other = Reader(hub), Reader(hub)
    for reader in (full, other):
        channel.add(reader, 0)
    full.pause()
    for number in range(1, 1001):
        hub.deliver(NAME, [value(number, "a"), value(number, "b")])
        hub.fanout.flush()
    assert full.sent == b""
    assert len(other.numbers()) == 2000
    full.resume()
    channel.catch_up(full)
    hub.fanout.flush()
    assert sorted((pub["key"], pub["offset"]) for pub in full.pushes()) == [("a", 1000), ("b", 1000)]
    assert full.ended is None
    await hub.stop()


async def test_current_value_comes_from_the_log_when_the_channel_opens():
    hub = quiet_hub()
    hub.log.values[NAME] = {"": value(7)}
    channel = await opened(hub)
    assert [v.number for v in channel.current(100)] == [7]
    assert channel.top() == 7
    await hub.stop()


async def test_joining_reader_sees_the_shown_value_and_the_trailing_one_once():
    hub = quiet_hub()
    channel = await opened(hub)
    early, late = Reader(hub), Reader(hub)
    channel.add(early, 40)
    hub.deliver(NAME, [value(1)])
    hub.deliver(NAME, [value(2)])
    assert [v.number for v in channel.current(40)] == [1]
    channel.add(late, 40)
    await until(lambda: (late.numbers(), early.numbers()) == ([2], [1, 2]))
    await hub.stop()


async def test_number_of_keys_is_bounded():
    hub = quiet_hub(values_max=10)
    channel = await opened(hub)
    for number in range(1, 100):
        hub.deliver(NAME, [value(number, str(number))])
    assert sorted(int(key) for key in channel.values) == list(range(90, 100))
    await hub.stop()


async def test_nobody_left_leaves_no_timer():
    hub = quiet_hub()
    channel = await opened(hub)
    reader = Reader(hub)
    channel.add(reader, 10_000)
    hub.deliver(NAME, [value(1)])
    hub.deliver(NAME, [value(2)])
    channel.remove(reader)
    assert channel.groups == {}
    hub.release(channel)
    assert not channel.in_use()
    await hub.stop()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 50)), max_size=60))
def test_every_reader_ends_with_the_highest_number_of_each_key(values):
    async def body():
        hub = quiet_hub()
        channel = await opened(hub)
        readers = [Reader(hub), Reader(hub)]
        channel.add(readers[0], 0)
        channel.add(readers[1], 2)
        for index, (key, number) in enumerate(values):
            hub.deliver(NAME, [value(number, key)])
            if index % 10 == 9:
                await asyncio.sleep(0.001)
        expected = {key: max(n for k, n in values if k == key) for key, _ in values}
        await asyncio.sleep(0.005)
        while any(group._timer for group in channel.groups.values()):
            await asyncio.sleep(0.002)
        await asyncio.sleep(0)
        for reader in readers:
            last = {}
            for pub in reader.pushes():
                assert pub["offset"] > last.get(pub["key"], 0)
                last[pub["key"]] = json.loads(str(pub["offset"]))
            assert last == expected
        await hub.stop()

    asyncio.run(body())
