"""What is old is forgotten, in lots; what is not, or belongs to an open auction, stays."""

import uuid

import pytest_asyncio

from protocols.values import new_id
from server.domains import DOMAINS, retention_of
from server.worker import retention
from server.worker.retention import PLATFORM, delete_all
from storage.auctions.signals_postgres import delete_old_activity
from storage.auctions.watches_postgres import delete_old_watches
from storage.engines.postgres import open_database

AUCTION = """
INSERT INTO auctions (
    auction_id, listing_id, seller_id, format, currency, starting_price, starts_at_ms, planned_end_ms, step_limits,
    steps, mask_salt, status, event_number, price, minimum_bid, leader_max, bid_count, ends_at_ms, extensions
) VALUES ($1, $2, $2, 'english', 'EUR', 1, 0, 1, '{}', '{1}', $3, $4, 1, 1, 1, 0, 0, $5, 0)
"""


@pytest_asyncio.fixture
async def opened(database, monkeypatch):
    monkeypatch.setattr(retention, "PAUSE_S", 0)
    opened = await open_database(database)
    yield opened
    await opened.close()


async def test_old_activity_is_forgotten_in_lots(opened, pool):
    bidder = new_id()
    rows = [(bidder, new_id(), new_id(), 1, False, at_ms) for at_ms in range(100)]
    await pool.copy_records_to_table("bidder_activity", records=rows)
    await delete_all(opened, delete_old_activity, 25, 10)
    left = await pool.fetch("SELECT at_ms FROM bidder_activity WHERE bidder_id = $1 ORDER BY at_ms", bidder)
    assert [row["at_ms"] for row in left] == list(range(25, 100))


async def test_watches_go_with_their_auction_and_not_before(opened, pool):
    user = new_id()
    kinds = {
        "over": ("sold", 50),
        "just_over": ("unsold", 200),
        "open": ("live", 50),
        "begun_late": ("sold", 50),
    }
    auctions = {}
    for kind, (status, ends_at_ms) in kinds.items():
        auctions[kind] = new_id()
        await pool.execute(AUCTION, auctions[kind], new_id(), uuid.uuid4().bytes, status, ends_at_ms)
    rows = [
        (auction, who, True, has_bid, [600], 150 if kind == "begun_late" else 10)
        for kind, auction in auctions.items()
        for who, has_bid in ((user, False), (new_id(), True))
    ]
    await pool.copy_records_to_table("auction_watches", records=rows)
    await delete_all(opened, delete_old_watches, 100, 1)
    left = await pool.fetch(
        "SELECT DISTINCT auction_id FROM auction_watches WHERE auction_id = ANY($1)", list(auctions.values())
    )
    assert {row["auction_id"] for row in left} == {auctions[k] for k in ("just_over", "open", "begun_late")}


async def test_every_retention_says_how_many_rows_it_deleted(opened):
    for each in (*PLATFORM, *retention_of(DOMAINS)):
        async with opened.connection() as db:
            assert await each.delete(db, -1, 5) == 0
