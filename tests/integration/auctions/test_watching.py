"""Watch lists, and what watchers are told: each once, in time, never after the end."""

import asyncio
from uuid import UUID

import msgspec
import pytest

from handlers.auctions.rules import CLOSE_GRACE_MS
from handlers.auctions.watching import notify_watchers, watch_auction
from handlers.auctions.watching import watch_list as watching
from protocols.auctions.refusals import AuctionNotFound, AuctionNotLive, OwnAuction
from protocols.auctions.terms import SoftClose
from protocols.auctions.watching import WatchListFull
from protocols.errors import InvalidInput, Unauthenticated
from protocols.values import new_id, now_instant
from tests.integration.auctions.conftest import ANONYMOUS, HOUR_MS, Market, moment, new_caller

MINUTE_MS = 60_000


async def watchers_of(market: Market, auction: UUID) -> int:
    counted = await market.pool.fetchval(
        "SELECT watchers FROM auction_watch_counts WHERE auction_id = $1", auction
    )
    rows = await market.pool.fetchval(
        "SELECT count(*) FROM auction_watches WHERE auction_id = $1 AND watching", auction
    )
    assert (counted or 0) == rows
    return rows


async def told(market: Market, who, kind: str = "ending_soon") -> list[dict]:
    return [event for event in await market.personal_events(who) if event["type"] == kind]


# -- the list --


async def test_watching_twice_is_watching_once_and_unwatching_likewise(market, seller, ann, bob):
    auction = await market.new_auction(seller)
    first = await market.call("watch_auction", ann, auction_id=auction)
    assert (first.watching, first.remind_before_s, first.watcher_count) == (True, [600], 1)
    again = await market.call("watch_auction", ann, auction_id=auction)
    assert again == first
    other = await market.call("watch_auction", bob, auction_id=auction, remind_before_s=[60, 3600, 60])
    assert (other.remind_before_s, other.watcher_count) == ([3600, 60], 2)
    kept = await market.call("watch_auction", bob, auction_id=auction)
    assert kept.remind_before_s == [3600, 60], "without a wish the old one stays"
    assert (
        await market.call("watch_auction", bob, auction_id=auction, remind_before_s=[])
    ).remind_before_s == []
    assert (await market.call("get_auction", auction_id=auction)).watcher_count == 2
    for _ in range(2):
        gone = await market.call("unwatch_auction", ann, auction_id=auction)
        assert (gone.watching, gone.remind_before_s, gone.watcher_count) == (False, [], 1)
    assert await watchers_of(market, auction) == 1
    assert (await market.call("list_watched", ann)).items == []


async def test_what_cannot_be_watched(market, seller, ann):
    auction = await market.new_auction(seller)
    with pytest.raises(Unauthenticated):
        await market.call("watch_auction", ANONYMOUS, auction_id=auction)
    with pytest.raises(OwnAuction):
        await market.call("watch_auction", seller, auction_id=auction)
    for verb in ("watch_auction", "unwatch_auction"):
        with pytest.raises(AuctionNotFound):
            await market.call(verb, ann, auction_id=new_id())
    for leads in ([61], [60] * 4, [-1]):
        with pytest.raises(msgspec.ValidationError):
            await market.call("watch_auction", ann, auction_id=auction, remind_before_s=leads)
    await market.call("cancel_auction", seller, auction_id=auction)
    with pytest.raises(AuctionNotLive):
        await market.call("watch_auction", ann, auction_id=auction)
    assert await watchers_of(market, auction) == 0


async def test_open_auctions_come_first_by_their_end_then_the_last_ones_over(market, seller, ann, bob):
    now = market.clock_ms = now_instant()
    ends = [5, 3, 1, 4, 2]
    auctions = [await market.new_auction(seller, ends_at=moment(now + hours * HOUR_MS)) for hours in ends]
    for auction in auctions:
        await market.call("watch_auction", ann, auction_id=auction)
    await market.bid_now(auctions[0], ann, 30_00)
    await market.bid_now(auctions[1], ann, 30_00)
    await market.bid_now(auctions[1], bob, 50_00)
    await market.bid_now(auctions[2], ann, 30_00)
    market.clock_ms = now + 2 * HOUR_MS + CLOSE_GRACE_MS
    await market.run_timers()
    pages, cursor = [], None
    while True:
        page = await market.call("list_watched", ann, limit=2, cursor=cursor)
        pages.append(page.items)
        if (cursor := page.next_cursor) is None:
            break
    items = [item for page in pages for item in page]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [item.id for item in items] == [auctions[n] for n in (1, 3, 0, 4, 2)]
    states = [(item.status, item.your_state, item.your_maximum) for item in items]
    assert states == [
        ("live", "outbid", None),
        ("live", "none", None),
        ("live", "leading", 30_00),
        ("unsold", "none", None),
        ("sold", "won", None),
    ]
    only = [await market.call("list_watched", ann, show=show) for show in ("open", "over")]
    assert [[item.id for item in page.items] for page in only] == [
        [item.id for item in items[:3]],
        [item.id for item in items[3:]],
    ]
    with pytest.raises(InvalidInput):
        await market.call("list_watched", ann, cursor="W10")


async def test_a_list_is_bounded_and_the_longest_over_makes_room(market, seller, ann, monkeypatch):
    monkeypatch.setattr(watch_auction, "WATCHES_MAX", 3)
    auctions = [await market.new_auction(seller) for _ in range(6)]
    results = await asyncio.gather(
        *(market.call("watch_auction", ann, auction_id=auction) for auction in auctions[:5]),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == [
        "Watch",
        "Watch",
        "Watch",
        "WatchListFull",
        "WatchListFull",
    ]
    watched = [item.id for item in (await market.call("list_watched", ann)).items]
    await market.call("watch_auction", ann, auction_id=watched[0], remind_before_s=[60])
    await market.call("cancel_auction", seller, auction_id=watched[1])
    await market.call("watch_auction", ann, auction_id=auctions[5])
    left = {item.id for item in (await market.call("list_watched", ann)).items}
    assert left == {watched[0], watched[2], auctions[5]}
    assert await watchers_of(market, watched[1]) == 0
    with pytest.raises(WatchListFull):
        await market.call(
            "watch_auction", ann, auction_id=next(a for a in auctions if a not in left | {watched[1]})
        )


# -- bidding watches --


async def test_a_bid_watches_and_a_bidder_may_stop(market, seller, ann, bob):
    auction = await market.new_auction(seller)
    await market.call("watch_auction", bob, auction_id=auction, remind_before_s=[60])
    for who, amount in ((ann, 20_00), (bob, 30_00), (ann, 40_00), (ann, 41_00), (bob, 60_00)):
        await market.bid_now(auction, who, amount)
    assert await watchers_of(market, auction) == 2
    (item,) = (await market.call("list_watched", bob)).items
    assert (item.your_state, item.remind_before_s) == ("leading", [60]), "a bid keeps what was chosen"
    await market.call("unwatch_auction", ann, auction_id=auction)
    watching._known.clear()  # as another process would see it
    await market.bid_now(auction, ann, 80_00)
    assert (await market.call("list_watched", ann)).items == []
    assert await watchers_of(market, auction) == 1
    await market.call("watch_auction", ann, auction_id=auction)
    (item,) = (await market.call("list_watched", ann)).items
    assert item.your_state == "leading"


async def test_a_refused_bid_watches_nothing(market, seller, ann, bob):
    auction = await market.new_auction(seller)
    await asyncio.gather(market.bid(auction, ann, 50_00), market.bid(auction, bob, 1), return_exceptions=True)
    assert await watchers_of(market, auction) == 1
    assert (await market.call("list_watched", bob)).items == []


async def test_a_sealed_bid_tells_no_more_than_that_it_is_there(market, seller, ann, bob):
    end = now_instant() + HOUR_MS
    auction = await market.new_auction(seller, format="sealed_first_price", ends_at=moment(end))
    await market.bid_now(auction, ann, 50_00)
    await market.bid_now(auction, bob, 20_00)
    states = [(await market.call("list_watched", who)).items[0].your_state for who in (ann, bob)]
    assert states == ["sealed", "sealed"]
    market.clock_ms = end + CLOSE_GRACE_MS
    await market.run_timers()
    states = [(await market.call("list_watched", who)).items[0].your_state for who in (ann, bob)]
    assert states == ["won", "lost"]


async def test_later_bids_of_a_known_bidder_ask_nothing_of_the_database(market, seller, ann, monkeypatch):
    auction = await market.new_auction(seller)
    await market.bid_now(auction, ann, 20_00)
    await market.bid_now(auction, ann, 21_00)

    async def fail(*_args):
        raise AssertionError("asked")

    monkeypatch.setattr(watching, "watch_for_bidders", fail)
    await market.bid_now(auction, ann, 22_00)
    monkeypatch.setattr(watching, "KNOWN_MAX", 0)


# -- reminders --


async def test_everybody_is_reminded_at_the_times_they_chose_and_once(market, seller, ann, bob):
    end = now_instant() + 3 * HOUR_MS
    auction = await market.new_auction(seller, ends_at=moment(end))
    never, all_times = new_caller(), new_caller()
    await market.bid_now(auction, ann, 20_00)
    await market.bid_now(auction, bob, 30_00)
    await market.call("watch_auction", never, auction_id=auction, remind_before_s=[])
    await market.call("watch_auction", all_times, auction_id=auction, remind_before_s=[60, 600, 3600])
    for before_ms in (3601_000, 3600_000, 600_001, 600_000, 60_001, 60_000, 1, -CLOSE_GRACE_MS):
        market.clock_ms = end - before_ms
        await market.run_timers()
    assert [event["lead_s"] for event in await told(market, all_times)] == [3600, 600, 60]
    assert [event["your_state"] for event in await told(market, all_times)] == ["none"] * 3
    for who, state in ((ann, "outbid"), (bob, "leading")):
        (event,) = await told(market, who)
        assert (event["lead_s"], event["your_state"], event["price"]) == (600, state, 20_50)
        assert event["ends_at"] == moment(end).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert await told(market, never) == []
    assert await told(market, seller) == []
    assert not [kind for kind in await market.timers_of(auction) if kind.startswith("ending_soon")]


async def test_a_reminder_follows_an_extension_before_it_and_is_not_repeated_after_it(
    market, seller, ann, bob
):
    end = now_instant() + HOUR_MS
    soft = SoftClose(window_s=120, extend_s=120, max_extensions=9)
    auction = await market.new_auction(seller, ends_at=moment(end), soft_close=soft)
    await market.call("watch_auction", ann, auction_id=auction, remind_before_s=[600, 60])
    market.clock_ms = end - 10 * MINUTE_MS
    await market.run_timers()
    market.clock_ms = end - 90_000
    await market.bid_now(auction, bob, 20_00)  # ends 30 s later
    market.clock_ms = end - 60_000
    await market.run_timers()
    assert [event["lead_s"] for event in await told(market, ann)] == [600]
    market.clock_ms = end - 30_000
    await market.run_timers()
    market.clock_ms = end - 20_000
    await market.bid_now(auction, new_caller(), 30_00)
    market.clock_ms = end + 100_000 - 60_000
    await market.run_timers()
    events = await told(market, ann)
    assert [event["lead_s"] for event in events] == [600, 60]
    assert events[1]["ends_at"] == moment(end + 30_000).isoformat(timespec="milliseconds").replace(
        "+00:00", "Z"
    )


@pytest.mark.parametrize("ending", ["cancel", "buy", "late"])
async def test_nobody_is_reminded_of_what_is_over(market, seller, ann, bob, ending):
    end = now_instant() + HOUR_MS
    auction = await market.new_auction(seller, ends_at=moment(end), buy_now_price=90_00)
    await market.call("watch_auction", ann, auction_id=auction)
    if ending == "cancel":
        await market.call("cancel_auction", seller, auction_id=auction)
    elif ending == "buy":
        await market.call("buy_now", bob, auction_id=auction, key="k")
    market.clock_ms = end - 10 * MINUTE_MS if ending != "late" else end
    for kind in ("ending_soon_600", "ending_soon_60"):
        await market.run_timers_once(kind)
    assert await told(market, ann) == []
    assert not [kind for kind in await market.timers_of(auction) if kind == "ending_soon_600"]


async def test_a_crowd_is_reminded_in_chunks_each_once_across_a_crash(market, seller, monkeypatch):
    module = notify_watchers
    monkeypatch.setattr(module, "WATCHERS_CHUNK", 10)
    end = now_instant() + HOUR_MS
    auctions = [await market.new_auction(seller, ends_at=moment(end)) for _ in range(2)]
    crowd = [new_caller() for _ in range(23)]
    await asyncio.gather(
        *(market.call("watch_auction", who, auction_id=auction) for who in crowd for auction in auctions)
    )
    market.clock_ms = end - 10 * MINUTE_MS
    await market.run_timers_once("ending_soon_600")
    assert await market.pool.fetchval("SELECT count(*) FROM auction_tellings") == 2
    assert sum([len(await told(market, who)) for who in crowd]) == 10
    write = module.write_notified

    async def crash(*args):
        await write(*args)
        raise ZeroDivisionError

    monkeypatch.setattr(module, "write_notified", crash)
    with pytest.raises(Exception, match="timers failed"):
        await market.run_timers_once("ending_soon_600")
    monkeypatch.setattr(module, "write_notified", write)
    soft_end = end + 60_000
    await market.pool.execute(
        "UPDATE auctions SET ends_at_ms = $2 WHERE auction_id = $1", auctions[0], soft_end
    )
    await market.run_timers()
    for who in crowd:
        assert sorted(event["auction_id"] for event in await told(market, who)) == sorted(map(str, auctions))
    assert await market.pool.fetchval("SELECT count(*) FROM auction_tellings") == 0


async def test_watchers_hear_of_the_start_of_a_scheduled_auction(market, seller, ann, bob, monkeypatch):
    monkeypatch.setattr(notify_watchers, "WATCHERS_CHUNK", 1)
    start = now_instant() + HOUR_MS
    auction, cancelled = [await market.new_auction(seller, starts_at=moment(start)) for _ in range(2)]
    for who in (ann, bob):
        for one in (auction, cancelled):
            await market.call("watch_auction", who, auction_id=one, remind_before_s=[])
    await market.call("cancel_auction", seller, auction_id=cancelled)
    market.clock_ms = start
    await market.run_timers()
    for who in (ann, bob):
        (event,) = await told(market, who, "watched_auction_started")
        assert (event["auction_id"], event["price"]) == (str(auction), 10_00)
    assert await told(market, seller, "watched_auction_started") == []


async def test_a_short_auction_has_no_reminder_that_would_come_at_once(market, seller, ann):
    now = market.clock_ms = now_instant()
    auction = await market.new_auction(seller, ends_at=moment(now + 5 * MINUTE_MS))
    assert sorted(await market.timers_of(auction)) == ["close_auction", "ending_soon_60"]
    await market.call("watch_auction", ann, auction_id=auction)
    market.clock_ms = now + 5 * MINUTE_MS + CLOSE_GRACE_MS
    await market.run_timers()
    assert await told(market, ann) == []
