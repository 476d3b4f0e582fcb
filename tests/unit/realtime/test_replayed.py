"""A replayed channel: whatever the bus loses, doubles or shuffles, every reader sees each number exactly once."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.control import CONTROL_CHANNEL
from realtime.ports import Entry, Lane
from tests.support.realtime_readers import Reader, quiet_hub
from tests.support.waiting import until

NAME = "auctions:1"


def run(body):
    """Run in a loop of its own: hypothesis repeats the body."""
    return asyncio.run(body)


async def opened(hub, *, before: int = 0):
    await hub.start()
    for number in range(1, before + 1):
        hub.log.append(NAME, b"%d" % number)
    return await hub.open(NAME, Lane.REPLAYED)


deliveries = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.integers(1, 4)),
        st.tuples(st.just("deliver"), st.integers(0, 30)),
        st.tuples(st.just("join"), st.integers(0, 30)),
        st.tuples(st.just("pass"), st.integers(0, 2)),
        st.tuples(st.just("log"), st.booleans()),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5), deliveries)
def test_any_loss_doubling_and_reordering_ends_with_each_number_once_for_everybody(before, steps):
    async def body():
        hub = quiet_hub()
        channel = await opened(hub, before=before)
        committed: list[list[Entry]] = []
        readers: list[tuple[int, Reader]] = []
        for what, amount in steps:
            if what == "commit":
                committed.append([hub.log.append(NAME, b"{}") for _ in range(amount)])
            elif what == "deliver" and committed:
                hub.deliver(NAME, committed[amount % len(committed)])
            elif what == "join":
                offset = min(amount, len(hub.log.streams.get(NAME, [])))
                if hub.log.failing:
                    continue
                await channel.prepare(offset)
                missed = channel.since(offset)
                assert missed is not None
                assert [p.number for p in missed] == list(range(offset + 1, channel.head + 1))
                reader = Reader(hub)
                channel.add(reader)
                readers.append((channel.head, reader))
            elif what == "pass":
                await asyncio.sleep(amount / 1000)
            elif what == "log":
                hub.log.failing = amount
        hub.log.failing = False
        top = len(hub.log.streams.get(NAME, []))
        hub.announce_heads({NAME: top})
        await until(lambda: channel.head == top)
        hub.fanout.flush()
        for joined_at, reader in readers:
            assert reader.numbers() == list(range(joined_at + 1, top + 1))
        await hub.stop()

    run(body())


async def test_publications_of_one_tick_leave_in_one_write():
    hub = quiet_hub()
    channel = await opened(hub)
    reader, other = Reader(hub), Reader(hub)
    channel.add(reader)
    channel.add(other)
    for _ in range(5):
        hub.deliver(NAME, [hub.log.append(NAME, b"{}")])
    await asyncio.sleep(0)
    assert (reader.writes, reader.numbers()) == (1, [1, 2, 3, 4, 5])
    assert other.sent == reader.sent
    await hub.stop()


async def test_reader_that_joins_within_a_tick_gets_nothing_twice():
    hub = quiet_hub()
    channel = await opened(hub)
    early, late = Reader(hub), Reader(hub)
    channel.add(early)
    hub.deliver(NAME, [hub.log.append(NAME, b"{}")])
    assert channel.head == 1
    channel.add(late)
    hub.deliver(NAME, [hub.log.append(NAME, b"{}")])
    channel.remove(early)
    hub.deliver(NAME, [hub.log.append(NAME, b"{}")])
    await asyncio.sleep(0)
    assert early.numbers() == [1, 2]
    assert late.numbers() == [2, 3]
    await hub.stop()


async def test_commit_between_bus_subscription_and_head_is_not_missed():
    hub = quiet_hub()
    hub.log.delay_s = 0.3
    await hub.start()
    opening = asyncio.create_task(hub.open(NAME, Lane.REPLAYED))
    await until(lambda: NAME in hub.bus.subscribed)
    hub.bus.publish([(NAME, [hub.log.append(NAME, b"{}")])])
    hub.bus.publish([(NAME, [Entry(2, b"{}", 0)])])  # committed after the log answered
    channel = await opening
    assert channel.head == 2
    await hub.stop()


async def test_channels_opened_together_share_one_query():
    hub = quiet_hub()
    await hub.start()
    await asyncio.gather(*(hub.open(f"auctions:{number % 300}", Lane.REPLAYED) for number in range(900)))
    assert len(hub.channels) == 300
    assert hub.log.calls == {"heads": 1}
    await hub.stop()


async def test_many_clients_recovering_cost_about_one_query():
    hub = quiet_hub()
    channel = await opened(hub, before=900)
    hub.log.delay_s = 0.01
    await asyncio.gather(*(channel.prepare(500 + number % 300) for number in range(1000)))
    assert [p.number for p in channel.since(500)] == list(range(501, 901))
    assert hub.log.calls["read_backward"] == 1
    await hub.stop()


async def test_recovery_reaches_back_to_the_first_number_and_ends_at_the_bounds():
    hub = quiet_hub(ring_entries_max=3000)
    channel = await opened(hub, before=3500)
    await channel.prepare(500)
    assert len(channel.since(500)) == 3000
    await channel.prepare(499)
    assert channel.since(499) is None
    await hub.stop()


async def test_recovery_over_the_byte_bound_is_refused_as_a_whole():
    hub = quiet_hub(ring_bytes_max=100_000)
    await hub.start()
    for _ in range(200):
        hub.log.append(NAME, b'"' + b"x" * 1000 + b'"')
    channel = await hub.open(NAME, Lane.REPLAYED)
    await channel.prepare(50)
    assert channel.since(50) is None
    await channel.prepare(150)
    assert len(channel.since(150)) == 50
    await hub.stop()


async def test_a_far_offset_does_not_spoil_the_recovery_of_others():
    hub = quiet_hub(ring_entries_max=1000)
    channel = await opened(hub, before=5000)
    hub.log.delay_s = 0.005
    await asyncio.gather(channel.prepare(0), channel.prepare(4500), channel.prepare(4200))
    assert channel.since(0) is None
    assert len(channel.since(4200)) == 800
    await hub.stop()


async def test_archived_history_is_not_recovered_in_part():
    hub = quiet_hub()
    channel = await opened(hub, before=100)
    hub.log.archived[NAME] = 50
    await channel.prepare(30)
    assert channel.since(30) is None
    await channel.prepare(50)
    assert len(channel.since(50)) == 50
    await hub.stop()


async def test_offset_another_process_has_told_is_waited_for_and_an_invented_one_is_not():
    hub = quiet_hub()
    channel = await opened(hub, before=3)
    for _ in range(4):
        hub.log.append(NAME, b"{}")  # the bus has not brought these
    await channel.prepare(6)
    assert [p.number for p in channel.since(6)] == [7]
    await channel.prepare(50)
    assert channel.since(50) is None
    await hub.stop()


async def test_bus_outage_is_repaired_when_it_returns():
    hub = quiet_hub()
    channel = await opened(hub)
    reader = Reader(hub)
    channel.add(reader)
    for _ in range(2500):
        hub.log.append(NAME, b"{}")
    hub.log.failing = True
    hub.bus_reconnected()
    await asyncio.sleep(0.02)
    assert reader.numbers() == []
    hub.log.failing = False
    await until(lambda: channel.head == 2500)
    await asyncio.sleep(0)
    assert reader.numbers() == list(range(1, 2501))
    await hub.stop()


async def test_sweep_finds_what_nobody_announced():
    hub = quiet_hub(sweep_s=0.01)
    channel = await opened(hub)
    hub.log.append(NAME, b"{}")
    await until(lambda: channel.head == 1)
    await hub.stop()


async def test_while_the_bus_is_silent_nothing_waits_for_the_sweep():
    hub = quiet_hub(silent_sweep_s=0.01)
    channel = await opened(hub)
    hub.log.append(NAME, b"{}")
    hub.bus.silent = True
    await until(lambda: channel.head == 1)
    hub.log.failing = True
    await until(lambda: hub.log.calls["heads"] > 3)
    hub.log.append(NAME, b"{}")
    hub.log.failing = False
    await until(lambda: channel.head == 2)
    await hub.stop()


class Followed:
    """A connection as far as the hub tells it to go."""

    told: tuple[int, str] | None = None

    def disconnect(self, code: int, reason: str) -> None:
        self.told = (code, reason)


async def test_when_bus_and_log_are_away_for_too_long_clients_are_told_and_refused_until_one_is_compared(
    caplog,
):
    hub = quiet_hub(silent_sweep_s=0.01, vouch_step_s=0.01, unvouched_max_s=0.05)
    channel = await opened(hub)
    follower = Followed()
    hub.connections.add(follower)
    hub.bus.silent = True
    asked = hub.log.calls["heads"]
    await until(lambda: hub.log.calls["heads"] > asked + 20)
    assert follower.told is None, "the log stands in for the bus"
    hub.log.failing = True
    await until(lambda: follower.told is not None)
    assert follower.told == (3010, "insufficient state")
    assert (hub.counters.unvouched_cuts, hub.admission.check().reason) == (1, "behind")
    assert "1 connections are told to come again" in caplog.text
    hub.bus.silent = False
    asked = hub.log.calls["heads"]
    await until(lambda: hub.log.calls["heads"] > asked + 3)
    assert hub.admission.check().reason == "behind", "what the bus had missed is not known yet"
    hub.log.append(NAME, b"{}")
    hub.log.failing = False
    await until(lambda: hub.admission.check() is None)
    await until(lambda: channel.head == 1)
    hub.connections.clear()
    await hub.stop()


async def test_a_bus_that_is_away_shortly_costs_no_connection():
    hub = quiet_hub(silent_sweep_s=0.01, vouch_step_s=0.01, unvouched_max_s=1000)
    await opened(hub)
    hub.log.failing = hub.bus.silent = True
    follower = Followed()
    hub.connections.add(follower)
    asked = hub.log.calls["heads"]
    await until(lambda: hub.log.calls["heads"] > asked + 5)
    assert follower.told is None
    assert hub.admission.check() is None
    hub.connections.clear()
    await hub.stop()


async def test_late_publication_of_another_process_is_not_asked_of_the_log():
    hub = quiet_hub(gap_wait_s=0.05)
    channel = await opened(hub)
    first, second = hub.log.append(NAME, b"{}"), hub.log.append(NAME, b"{}")
    hub.deliver(NAME, [second])
    await asyncio.sleep(0.005)
    hub.deliver(NAME, [first])
    assert channel.head == 2
    await asyncio.sleep(0.06)
    assert "read" not in hub.log.calls
    await hub.stop()


async def test_held_publications_are_bounded_and_still_arrive():
    hub = quiet_hub(held_max=10)
    channel = await opened(hub)
    entries = [hub.log.append(NAME, b"{}") for _ in range(100)]
    hub.log.failing = True
    for entry in entries[1:]:
        hub.deliver(NAME, [entry])
    assert len(channel._held) == 10
    hub.log.failing = False
    await until(lambda: channel.head == 100)
    await hub.stop()


async def test_channel_closes_some_time_after_its_last_reader_and_opens_afresh():
    hub = quiet_hub(linger_s=0.02)
    channel = await opened(hub)
    reader = Reader(hub)
    channel.add(reader)
    hub.release(channel)
    await asyncio.sleep(0.06)
    assert NAME in hub.channels
    channel.remove(reader)
    hub.check_idle(channel)
    await until(lambda: NAME not in hub.channels)
    assert NAME not in hub.bus.subscribed
    hub.log.append(NAME, b"{}")
    assert (await hub.open(NAME, Lane.REPLAYED)).head == 1
    await hub.stop()


@pytest.mark.parametrize("away", ["bus", "log"])
async def test_channel_that_cannot_open_fails_its_subscribers_and_leaves_nothing(away):
    hub = quiet_hub()
    await hub.start()
    broken = hub.bus if away == "bus" else hub.log
    broken.failing = True
    results = await asyncio.gather(*(hub.open(NAME, Lane.REPLAYED) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [ConnectionError] * 3
    assert hub.channels == {}
    assert hub.bus.subscribed == {CONTROL_CHANNEL}
    broken.failing = False
    assert (await hub.open(NAME, Lane.REPLAYED)).head == 0
    await hub.stop()


async def test_observer_sees_each_number_of_its_prefix_once():
    hub = quiet_hub()
    seen = []
    hub.observe("auctions:", lambda name, entry: seen.append((name, entry.number)))
    await opened(hub)
    await hub.open("personal:#1", Lane.REPLAYED)
    entries = [hub.log.append(NAME, b"{}") for _ in range(3)]
    hub.deliver(NAME, [entries[0], entries[2]])
    hub.deliver(NAME, [entries[0]])
    hub.deliver("personal:#1", [Entry(1, b"{}", 0)])
    await until(lambda: len(seen) == 3)
    assert seen == [(NAME, 1), (NAME, 2), (NAME, 3)]
    await hub.stop()


async def test_rings_of_all_channels_stay_within_their_common_bound():
    hub = quiet_hub(rings_bytes_max=50_000, linger_s=0.01)
    channels = [await hub.open(f"auctions:{number}", Lane.REPLAYED) for number in range(10)]
    await hub.start()
    for channel in channels:
        hub.deliver(channel.name, [Entry(n, b'"' + b"x" * 500 + b'"', 0) for n in range(1, 21)])
    await until(lambda: sum(channel.ring.bytes for channel in channels) <= 50_000)
    assert all(channel.head == 20 for channel in channels)
    await hub.stop()
