"""Lots of a group close together: a late bid on one moves the end of every other that would end before."""

import asyncio
import random
import re
from pathlib import Path

import msgspec
import pytest

from handlers.auctions.open_auction import GROUP_MAX
from handlers.auctions.rules import CLOSE_GRACE_MS
from protocols.auctions.terms import SoftClose
from protocols.errors import InvalidInput, Refusal
from protocols.values import new_id, now_instant, to_timestamp
from tests.integration.auctions.conftest import HOUR_MS, moment, new_caller
from tests.integration.auctions.replay import assert_audited, assert_replays
from tests.unit.handlers.auctions.test_examples import to_ms

DOCS = Path(__file__).parents[3] / "docs" / "auctions.md"
SOFT = SoftClose(window_s=120, extend_s=120, max_extensions=50)


async def new_group(market, seller, ends, group=None, **terms):
    group = group or new_id()
    return [
        await market.new_auction(
            seller, **{"ends_at": moment(end), "soft_close": SOFT, "group_id": group, **terms}
        )
        for end in ends
    ]


async def test_a_group_needs_soft_close_and_english_lots(market, seller):
    for terms in ({}, {"format": "sealed_first_price"}):
        (listing,) = await market.new_listings(seller, 1)
        with pytest.raises(InvalidInput) as refused:
            await market.open(seller, listing, group_id=new_id(), **terms)
        assert [error["pointer"] for error in refused.value.facts["errors"]] == ["/group_id"]


async def test_a_group_is_bounded(market, seller):
    end = now_instant() + HOUR_MS
    lots = await new_group(market, seller, [end] * GROUP_MAX, group := new_id())
    with pytest.raises(InvalidInput):
        await new_group(market, seller, [end], group)
    await market.call("cancel_auction", seller, auction_id=lots[0])
    await new_group(market, seller, [end], group)


async def test_a_late_bid_on_one_lot_moves_the_earlier_ends_of_its_group_alone(market, seller, ann):
    market.clock_ms = start = now_instant()
    end, group = start + HOUR_MS, new_id()
    one, same, later, sold = await new_group(
        market, seller, [end, end + 1_000, end + HOUR_MS, end], group, buy_now_price=90_00
    )
    (strangers,) = await new_group(market, new_caller(), [end], group)
    (alone,) = await new_group(market, seller, [end])
    await market.call("buy_now", ann, auction_id=sold, key="k")
    market.clock_ms = end - 10_000
    receipt = await market.bid_now(one, ann, 20_00)
    moved = market.clock_ms + 120_000
    assert receipt.ends_at == to_timestamp(moved)
    ends = [(await market.row(lot))["ends_at_ms"] for lot in (one, same, later, strangers, alone, sold)]
    assert ends == [moved, moved, end + HOUR_MS, end, end, end]
    extended = (await market.auction_events(same))[-1]
    assert (extended["ends_at"], extended["extensions"], extended["by_group"]) == (
        to_timestamp(moved),
        0,
        True,
    )
    assert market.tickers(same)[-1][1]["ends_at"] == to_timestamp(moved)
    market.clock_ms = end + 1_000 + CLOSE_GRACE_MS
    await market.run_timers()
    statuses = [(await market.row(lot))["status"] for lot in (one, same, later, strangers, alone, sold)]
    assert statuses == ["live", "live", "live", "unsold", "unsold", "sold"]
    shown = await market.call("get_auction", auction_id=same)
    assert shown.group_id == group
    market.clock_ms = moved + CLOSE_GRACE_MS
    await market.run_timers()
    assert (await market.row(one))["status"] == "sold"
    assert await assert_replays(market.pool, [one, same, later, strangers, alone, sold]) == 6
    await assert_audited(market, [one, same, later, strangers, alone, sold])


async def test_the_worked_example_of_a_group(market, seller):
    """The table of docs/auctions.md."""
    rows = re.findall(
        r"^\| (?:planned|a bid on (.) at (\S+)).*?\| (\d.*) \|$", DOCS.read_text(), re.MULTILINE
    )
    ends = [[to_ms(cell) for cell in cells.split(" | ")] for _, _, cells in rows]
    assert len(rows) == 3
    market.clock_ms = start = now_instant()
    lots = dict(zip("ABC", await new_group(market, seller, [start + end for end in ends[0]]), strict=True))
    for (name, at, _), expected in zip(rows[1:], ends[1:], strict=True):
        market.clock_ms = start + to_ms(at)
        await market.bid_now(lots[name], new_caller(), 20_00)
        assert [(await market.row(lot))["ends_at_ms"] - start for lot in lots.values()] == expected


async def test_a_lot_whose_end_has_come_does_not_come_back(market, seller, ann):
    market.clock_ms = start = now_instant()
    over, late = await new_group(market, seller, [start + 60_000, start + 61_000])
    market.clock_ms = start + 60_000  # its end, and not yet its closing
    await market.bid_now(late, ann, 20_00)
    assert (await market.row(over))["ends_at_ms"] == start + 60_000
    market.clock_ms += CLOSE_GRACE_MS
    await market.run_timers()
    assert (await market.row(over))["status"] == "unsold"


async def test_random_bids_on_groups_agree_with_a_naive_reading_of_the_ends(market):
    dice = random.Random(12)
    seller, bidders = new_caller(), [new_caller() for _ in range(5)]
    market.clock_ms = now_instant()
    for _ in range(12):
        start = market.clock_ms
        planned = [start + 200_000 + dice.randrange(0, 200_000) for _ in range(4)]
        lots = await new_group(market, seller, planned)
        ends = dict(zip(lots, planned, strict=True))
        for _ in range(12):
            market.clock_ms += dice.randrange(0, 70_000)
            await market.run_timers()
            moves = [
                (dice.choice(lots), dice.choice(bidders), dice.randrange(10_00, 99_00)) for _ in range(3)
            ]
            answers = await asyncio.gather(*(market.bid(*move) for move in moves), return_exceptions=True)
            for (lot, _, _), answer in zip(moves, answers, strict=True):
                if isinstance(answer, Refusal):
                    continue
                end = market.clock_ms + 120_000
                if market.clock_ms >= ends[lot] - 120_000 and end > ends[lot]:
                    ends = {a: end if a == lot or market.clock_ms < e < end else e for a, e in ends.items()}
                told = msgspec.json.decode(answer.body)["ends_at"]
                assert told == to_timestamp(ends[lot])
            live = [lot for lot in lots if (await market.row(lot))["status"] == "live"]
            shown = {lot: (await market.row(lot))["ends_at_ms"] for lot in live}
            assert shown == {lot: ends[lot] for lot in live}
        market.clock_ms += 10 * HOUR_MS
        await market.run_timers()
        assert await assert_replays(market.pool, lots) == 4
        await assert_audited(market, lots)


async def test_concurrent_late_bids_on_all_lots_of_a_group_wait_for_each_other(market, seller):
    market.clock_ms = start = now_instant()
    lots = await new_group(market, seller, [start + 60_000] * 8)
    bids = [market.bid(lot, new_caller(), 20_00 + n * 500) for n in range(5) for lot in lots]
    answers = await asyncio.gather(*bids, return_exceptions=True)
    assert not [a for a in answers if isinstance(a, BaseException) and not isinstance(a, Refusal)]
    assert {(await market.row(lot))["ends_at_ms"] for lot in lots} == {start + 120_000}
    assert await assert_replays(market.pool, lots) == 8
    await assert_audited(market, lots)
