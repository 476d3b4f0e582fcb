"""Viewer counts of an auction: written when they changed, over both of its channels together."""

import asyncio

import pytest

from handlers.domain import ChannelKinds
from protocols.auctions.channels import auction_channel, ticker_channel
from protocols.listings.channels import stock_channel
from protocols.topics import personal_channel
from protocols.values import new_id
from realtime.ports import Lane
from realtime.presence.viewer_counts import ViewerCounts
from server.domains import DOMAINS, channels_of
from tests.support.realtime_readers import Reader, quiet_hub

AUCTION = new_id()
KINDS = ChannelKinds(channels_of(DOMAINS))
GROUP = str(AUCTION)


class Store:
    """What this process wrote; it counts the queries."""

    def __init__(self):
        self.written: list[dict[str, int]] = []
        self.asked = 0
        self.failing = False

    async def set_counts(self, counts):
        if self.failing:
            raise ConnectionError("away")
        self.written.append(dict(counts))

    async def count(self, group):
        self.asked += 1
        await asyncio.sleep(0)
        return 42


async def watched_auction():
    hub, store = quiet_hub(), Store()
    await hub.start()
    events = await hub.open(auction_channel(AUCTION), Lane.REPLAYED)
    ticker = await hub.open(ticker_channel(AUCTION), Lane.LATEST)
    return hub, store, ViewerCounts(store, hub.context, hub.channels, KINDS.viewer_group), events, ticker


def test_only_auctions_have_a_viewer_group():
    assert (
        KINDS.viewer_group(auction_channel(AUCTION)) == KINDS.viewer_group(ticker_channel(AUCTION)) == GROUP
    )
    for other in (personal_channel(AUCTION), stock_channel(AUCTION), "auctions", ""):
        assert KINDS.viewer_group(other) is None


async def test_a_count_is_written_when_it_changed_and_not_otherwise():
    hub, store, viewer_counts, events, _ = await watched_auction()
    other = await hub.open(personal_channel(AUCTION), Lane.REPLAYED)
    other.add(Reader(hub))
    await viewer_counts.report()
    assert store.written == []
    readers = [Reader(hub) for _ in range(3)]
    for reader in readers:
        events.add(reader)
    await viewer_counts.report()
    await viewer_counts.report()
    assert store.written == [{GROUP: 3}]
    events.remove(readers[0])
    await viewer_counts.report()
    for reader in readers[1:]:
        events.remove(reader)
    await viewer_counts.report()
    await viewer_counts.report()
    assert store.written == [{GROUP: 3}, {GROUP: 2}, {GROUP: 0}]
    await hub.stop()


async def test_a_reader_of_events_and_ticker_counts_once():
    hub, store, viewer_counts, events, ticker = await watched_auction()
    both, bids, price = Reader(hub), Reader(hub), Reader(hub)
    events.add(both)
    events.add(bids)
    await viewer_counts.report()
    ticker.add(both, 100)
    await viewer_counts.report()
    ticker.add(price, 0)
    await viewer_counts.report()
    assert store.written == [{GROUP: 2}, {GROUP: 3}]
    await hub.stop()


async def test_all_counts_are_repeated_and_a_lost_one_is_written_at_the_next_report():
    hub, store, viewer_counts, events, _ = await watched_auction()
    events.add(Reader(hub))
    store.failing = True
    await viewer_counts.report()
    store.failing = False
    await viewer_counts.report()
    await viewer_counts.report(everything=True)
    await viewer_counts.finish(1.0)
    assert store.written == [{GROUP: 1}, {GROUP: 1}, {GROUP: 0}]
    await hub.stop()


async def test_many_queries_at_once_cost_one_query_of_the_store():
    hub, store, viewer_counts, *_ = await watched_auction()
    assert await asyncio.gather(*(viewer_counts.count(GROUP) for _ in range(100))) == [42] * 100
    assert store.asked == 1
    assert await viewer_counts.count("another") == 42
    assert store.asked == 2
    await hub.stop()


@pytest.mark.parametrize("gone", [1, 3_000])
async def test_channels_that_close_during_a_report_do_not_disturb_it(gone):
    hub, store, viewer_counts, events, _ = await watched_auction()
    events.add(Reader(hub))
    for _ in range(3_000):
        hub.channels[auction_channel(new_id())] = events
    report = asyncio.create_task(viewer_counts.report())
    await asyncio.sleep(0)
    for name in list(hub.channels)[-gone:]:
        del hub.channels[name]
    await report
    assert store.written[0][GROUP] == 1
    await hub.stop()
