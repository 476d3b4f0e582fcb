"""Every named statement of the domain is understood by the migrated database."""

from pathlib import Path

import pytest

from handlers.auctions.bidding.place_bid import place_bid
from handlers.contract import Call, Outcome, Stores
from protocols.auctions.commands import PlaceBid
from protocols.values import now_instant
from storage.platform.sql import read_statements
from tests.integration.auctions.conftest import new_caller

FOLDER = Path(__file__).parents[3] / "storage" / "auctions"
STATEMENTS = {
    f"{path.stem}.{name}": text
    for path in sorted(FOLDER.glob("*.sql"))
    for name, text in read_statements(path).items()
}


@pytest.mark.parametrize("name", STATEMENTS)
async def test_statement_prepares(pool, name):
    async with pool.acquire() as db:
        await db.prepare(STATEMENTS[name])


async def test_an_update_by_a_bid_stays_on_its_page(market, seller):
    """No indexed column changes with a bid, so no index grows with the bids of an auction."""
    auction = await market.new_auction(seller)
    async with market.pool.acquire() as db:
        stores = Stores(db, None, "epoch")
        for n in range(20):
            call = Call(
                PlaceBid(auction_id=auction, amount=20_00 + n * 1_000, key="k"), new_caller(), now_instant()
            )
            async with db.transaction():
                (outcome,) = await place_bid([call], stores, call.at_ms)
            assert isinstance(outcome, Outcome)
        await db.execute("SELECT pg_stat_force_next_flush()")
        updates, hot = await db.fetchrow(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'auctions'"
        )
    assert hot == updates == 20
