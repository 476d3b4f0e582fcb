"""kill -9 after a close, or its settlement, is decided and before it is committed: nothing happened, the next one does
it once."""

import asyncio
import sys
from pathlib import Path

import msgspec
import pytest

from handlers.auctions.rules import CLOSE_GRACE_MS
from protocols.values import now_instant
from tests.integration.auctions.conftest import HOUR_MS, moment, new_caller
from tests.integration.auctions.replay import assert_audited, assert_replays

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


async def state_of(market, auction):
    """Return the rows of an auction and its listing."""
    row = await market.row(auction)
    listing = await market.pool.fetchrow("SELECT * FROM listings WHERE listing_id = $1", row["listing_id"])
    return dict(row), dict(listing)


async def test_killed_in_the_middle_of_closing_leaves_exactly_one_result(market, seller, database, redis_url):
    market.clock_ms = start = now_instant()
    names = ("english", "dutch", "sealed_first_price", "sealed_second_price")
    fall = {"floor_price": 1, "step": 1, "tick_s": 1}
    auctions = [
        await market.new_auction(
            seller, format=name, ends_at=moment(start + HOUR_MS), dutch=fall if name == "dutch" else None
        )
        for name in names
    ]
    for auction, name in zip(auctions, names, strict=True):
        for amount in (20_00, 30_00, 25_50) if name != "dutch" else ():
            await market.bid_now(auction, new_caller(), amount)
    market.clock_ms = (await market.row(auctions[0]))["ends_at_ms"] + CLOSE_GRACE_MS
    goods = [(await market.row(auction))["listing_id"] for auction in auctions]
    for kind in ("close_auction", "notify_result"):
        before = [await state_of(market, auction) for auction in auctions]
        words = (database, redis_url, str(market.secrets), str(market.clock_ms), kind)
        victim = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.integration.auctions.closing_victim",
            *words,
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert victim.stdout is not None
        assert await asyncio.wait_for(victim.stdout.readline(), 20) == b"decided 4\n"
        victim.kill()
        await victim.wait()
        assert [await state_of(market, auction) for auction in auctions] == before
        # PostgreSQL holds the timers until it sees that the victim is gone.
        while not await market.run_timers_once(kind):
            await asyncio.sleep(0.01)
    await market.run_timers()
    for auction in auctions:
        kinds = [event["type"] for event in await market.auction_events(auction)]
        assert kinds.count("auction_closed") == 1
    statuses = [(await market.row(auction))["status"] for auction in auctions]
    assert statuses == ["sold", "unsold", "sold", "sold"]
    for listing, status in zip(goods, statuses, strict=True):
        told = "SELECT data FROM events WHERE stream = $1 ORDER BY number"
        rows = await market.pool.fetch(told, f"listings:{listing}")
        moved = [msgspec.json.decode(row["data"])["kind"] for row in rows]
        assert moved == ["auction", "sale" if status == "sold" else "return"]
        row = await market.pool.fetchrow(
            "SELECT quantity, auctioned FROM listings WHERE listing_id = $1", listing
        )
        assert tuple(row) == (int(status == "unsold"), 0)
    prices = [(await market.row(auction))["price"] for auction in auctions]
    assert prices == [26_50, 1, 30_00, 25_50]
    assert await assert_replays(market.pool, auctions) == 4
    await assert_audited(market, auctions)
