"""Deltas and short names on a latest channel: who skipped values gets the next one whole."""

import json

from realtime.channels.delta import apply_delta
from realtime.channels.fanout import Style
from realtime.ports import Entry, Lane
from tests.support.realtime_readers import Reader, quiet_hub

NAME = "ticker:1"
DELTA = Style(delta=True)


def value(number, key=""):
    return Entry(number, json.dumps({"long": "x" * 80, "price": number}).encode(), 0, key)


def assembled(pushes):
    found, base = [], b""
    for pub in pushes:
        base = apply_delta(base, pub["data"].encode()) if pub.get("delta") else pub["data"].encode()
        found.append(json.loads(base)["price"])
    return found


async def opened():
    hub = quiet_hub()
    await hub.start()
    return hub, await hub.open(NAME, Lane.LATEST)


async def test_reader_with_delta_that_skipped_gets_the_newest_whole_and_then_again_differences():
    hub, channel = await opened()
    slow, quick = Reader(hub), Reader(hub)
    for reader in (slow, quick):
        channel.add(reader, 0, DELTA)
    for number in (1, 2):
        hub.deliver(NAME, [value(number)])
        hub.fanout.flush()
    slow.pause()
    for number in (3, 4):
        hub.deliver(NAME, [value(number)])
        hub.fanout.flush()
    slow.resume()
    channel.catch_up(slow)
    hub.fanout.flush()
    for number in (5, 6):
        hub.deliver(NAME, [value(number)])
        hub.fanout.flush()
    assert assembled(slow.pushes()) == [1, 2, 4, 5, 6]
    assert [pub.get("delta", False) for pub in slow.pushes()] == [False, True, False, False, True]
    assert assembled(quick.pushes()) == [1, 2, 3, 4, 5, 6]
    assert [pub.get("delta", False) for pub in quick.pushes()] == [False, *[True] * 5]
    await hub.stop()


async def test_values_of_several_keys_are_differences_of_the_value_before_whatever_its_key():
    hub, channel = await opened()
    reader = Reader(hub)
    channel.add(reader, 0, DELTA)
    hub.deliver(NAME, [value(1, "a"), value(2, "b"), value(3, "a")])
    hub.fanout.flush()
    assert assembled(reader.pushes()) == [1, 2, 3]
    await hub.stop()


async def test_reader_with_a_style_leaves_without_a_trace():
    hub, channel = await opened()
    plain, styled = Reader(hub), Reader(hub)
    channel.add(plain, 0)
    channel.add(styled, 0, Style(push_id=channel.push_id, delta=True))
    assert hub.subscriptions() == 2
    channel.remove(styled)
    (group,) = channel.groups.values()
    assert group.audience.groups is None
    hub.deliver(NAME, [value(1)])
    hub.fanout.flush()
    assert (plain.numbers(), styled.sent) == ([1], b"")
    channel.remove(plain)
    assert hub.subscriptions() == 0
    await hub.stop()
