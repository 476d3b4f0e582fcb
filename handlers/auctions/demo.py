"""Demo auctions: some of the demo sellers' listings, live over the next week."""

from datetime import UTC, datetime, timedelta

from handlers.domain import DemoMarket
from protocols.auctions.commands import OpenAuction
from protocols.auctions.terms import SoftClose
from protocols.errors import Refusal
from storage.auctions.lookups import read_open_auction
from storage.listings.lookups import ListingFacts, read_oldest_listings

LIVE_AUCTIONS = 24
"""Listings that are put up for auction."""


async def add_demo_auctions(market: DemoMarket) -> str:
    """Open an auction on each of the oldest listings of the demo sellers that is in none."""
    sellers = {seller.id: seller for seller in market.people.values()}
    async with market.connection() as db:
        listings = await read_oldest_listings(db, list(sellers), LIVE_AUCTIONS)
    added = 0
    for index, listing in enumerate(listings):
        async with market.connection() as db:
            is_open = await read_open_auction(db, listing.listing_id) is not None
        if is_open:
            continue
        try:
            await market.run("auctions.open_auction", _auction_of(listing, index), sellers[listing.seller_id])
        except Refusal:  # sold, withdrawn, or opened at this moment by another run, with the same key
            continue
        added += 1
    return f"{added} demo auctions"


def _auction_of(listing: ListingFacts, index: int) -> OpenAuction:
    """Return an auction from a third of the price; every third has a reserve, every fourth can be bought at once."""
    price = listing.price_minor or 10_000
    return OpenAuction(
        listing_id=listing.listing_id,
        key=f"demo-{listing.listing_id}",
        format="english",
        currency=listing.currency or "EUR",
        starting_price=max(1, price // 3),
        ends_at=datetime.now(UTC) + timedelta(hours=6 + 7 * index),
        reserve_price=price * 2 // 3 if index % 3 == 0 else None,
        buy_now_price=price * 2 if index % 4 == 0 else None,
        soft_close=SoftClose(window_s=120, extend_s=120, max_extensions=30),
    )
