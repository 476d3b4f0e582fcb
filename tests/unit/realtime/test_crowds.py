"""How many follow an auction: looked up, not kept; told when it changed, together over both of its channels."""

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
CROWD = str(AUCTION)


class Store:
    """What this process told, and an answer that counts its questions."""

    def __init__(self):
        self.told: list[dict[str, int]] = []
        self.asked = 0
        self.failing = False

    async def tell(self, sizes):
        if self.failing:
            raise ConnectionError("away")
        self.told.append(dict(sizes))

    async def count(self, crowd):
        self.asked += 1
        await asyncio.sleep(0)
        return 42


async def room():
    hub, store = quiet_hub(), Store()
    await hub.start()
    events = await hub.open(auction_channel(AUCTION), Lane.REPLAYED)
    ticker = await hub.open(ticker_channel(AUCTION), Lane.LATEST)
    return hub, store, ViewerCounts(store, hub.context, hub.channels, KINDS.viewer_group), events, ticker


def test_only_auctions_have_a_crowd():
    assert (
        KINDS.viewer_group(auction_channel(AUCTION)) == KINDS.viewer_group(ticker_channel(AUCTION)) == CROWD
    )
    for other in (personal_channel(AUCTION), stock_channel(AUCTION), "auctions", ""):
        assert KINDS.viewer_group(other) is None


async def test_a_size_is_told_when_it_changed_and_nothing_is_told_otherwise():
    hub, store, crowds, events, _ = await room()
    other = await hub.open(personal_channel(AUCTION), Lane.REPLAYED)
    other.add(Reader(hub))
    await crowds.tell()
    assert store.told == []
    readers = [Reader(hub) for _ in range(3)]
    for reader in readers:
        events.add(reader)
    await crowds.tell()
    await crowds.tell()
    assert store.told == [{CROWD: 3}]
    events.remove(readers[0])
    await crowds.tell()
    for reader in readers[1:]:
        events.remove(reader)
    await crowds.tell()
    await crowds.tell()
    assert store.told == [{CROWD: 3}, {CROWD: 2}, {CROWD: 0}]
    await hub.stop()


async def test_who_follows_events_and_ticker_counts_once():
    hub, store, crowds, events, ticker = await room()
    both, bids, price = Reader(hub), Reader(hub), Reader(hub)
    events.add(both)
    events.add(bids)
    await crowds.tell()
    ticker.add(both, 100)
    await crowds.tell()
    ticker.add(price, 0)
    await crowds.tell()
    assert store.told == [{CROWD: 2}, {CROWD: 3}]
    await hub.stop()


async def test_everything_is_told_again_and_what_was_lost_at_the_next_look():
    hub, store, crowds, events, _ = await room()
    events.add(Reader(hub))
    store.failing = True
    await crowds.tell()
    store.failing = False
    await crowds.tell()
    await crowds.tell(everything=True)
    await crowds.finish(1.0)
    assert store.told == [{CROWD: 1}, {CROWD: 1}, {CROWD: 0}]
    await hub.stop()


async def test_many_who_ask_at_once_cost_one_question():
    hub, store, crowds, *_ = await room()
    assert await asyncio.gather(*(crowds.count(CROWD) for _ in range(100))) == [42] * 100
    assert store.asked == 1
    assert await crowds.count("another") == 42
    assert store.asked == 2
    await hub.stop()


@pytest.mark.parametrize("gone", [1, 3_000])
async def test_channels_that_come_and_go_under_the_look_do_not_disturb_it(gone):
    hub, store, crowds, events, _ = await room()
    events.add(Reader(hub))
    for _ in range(3_000):
        hub.channels[auction_channel(new_id())] = events
    look = asyncio.create_task(crowds.tell())
    await asyncio.sleep(0)
    for name in list(hub.channels)[-gone:]:
        del hub.channels[name]
    await look
    assert store.told[0][CROWD] == 1
    await hub.stop()
