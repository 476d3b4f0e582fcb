"""Fill an empty market: demo sellers, their listings, and auctions that are live, so that the first visitor can bid.

`python -m server.cli.seed` is run by every `./mnbara up`. It is safe to run twice, or twice at once: sellers and
listings that are there stay as they are; an auction is opened on each of the first listings that is in none.
"""

import asyncio
import secrets
import sys
from datetime import UTC, datetime, timedelta
from functools import partial

from handlers.auctions import ROUTES as AUCTION_ROUTES
from handlers.auctions.open_auction import open_auction
from handlers.auth.passwords import PasswordHasher
from handlers.contract import Caller, Event
from handlers.listings.views import to_listing
from protocols.auctions.commands import OpenAuction
from protocols.auctions.terms import SoftClose
from protocols.errors import Refusal
from protocols.listings.commands import ListingCreated
from protocols.topics import listing_stream
from protocols.values import now_instant, to_timestamp
from server.cli.demo_data import DEMO_SELLERS, demo_listings
from server.commands.pipeline import Pipeline, event_text
from server.process.settings import Settings, SettingsError
from storage.auth.users_postgres import insert_user
from storage.engines.postgres import Connection, Database, open_database
from storage.engines.redis import open_redis
from storage.listings.listings_postgres import ListingRow, insert_listing
from storage.platform.events_postgres import NewEvent, append_events, read_epoch

LIVE_AUCTIONS = 24
"""Listings that are put up for auction."""

_OPEN = next(route for route in AUCTION_ROUTES if route.function is open_auction)


async def seed(postgres_url: str, redis_url: str) -> str:
    """Add what is missing and return a sentence that says how much."""
    database = await open_database(postgres_url, size_max=2)
    try:
        listings = await _seed_listings(database)
        auctions = await _seed_auctions(database, redis_url)
    finally:
        await database.close()
    return f"{listings} demo listings and {auctions} demo auctions added"


async def _seed_listings(database: Database) -> int:
    """Add sellers and listings that are missing, all or none; those that changed since stay as they are."""
    hasher = PasswordHasher()
    try:
        async with database.transaction() as db:
            added = [row for row in demo_listings() if await insert_listing(db, row)]
            await _append_history(db, added)
            for user_id, name in DEMO_SELLERS.items() if added else ():
                nobody_knows = await hasher.hash(secrets.token_urlsafe(32))
                email = f"demo-{user_id.int & 0xFF}@demo.invalid"
                await insert_user(db, user_id, email, nobody_knows, name, now_instant())
    finally:
        hasher.close()
    return len(added)


async def _append_history(db: Connection, rows: list[ListingRow]) -> None:
    """Give each listing the audit event that its creation leaves."""
    for row in rows:
        event = Event(
            listing_stream(row.listing_id), "listing_created", ListingCreated(listing=to_listing(row)), 1
        )
        text = event_text(event, to_timestamp(row.created_at_ms))
        await append_events(db, [NewEvent(event.stream, event.type, text, 1)], row.created_at_ms)


async def _seed_auctions(database: Database, redis_url: str) -> int:
    """Open auctions that end over the next week, through the same pipeline as everybody's."""
    redis = open_redis(redis_url)
    async with database.connection() as db:
        epoch = await read_epoch(db)
    pipeline = Pipeline(database, redis, epoch, lambda _: None, [_OPEN])
    opened = 0
    try:
        for place, row in enumerate(demo_listings()[:LIVE_AUCTIONS]):
            try:
                await pipeline.run(_OPEN, _auction_of(row, place), Caller(user_id=row.seller_id))
                opened += 1
            except Refusal:  # in an auction already, sold, or withdrawn
                continue
    finally:
        await redis.aclose()
    return opened


def _auction_of(row: ListingRow, place: int) -> OpenAuction:
    """Return an auction from a third of the price; every third has a reserve, every fourth can be bought at once."""
    price = row.price_minor or 10_000
    return OpenAuction(
        listing_id=row.listing_id,
        format="english",
        currency=row.currency or "EUR",
        starting_price=max(1, price // 3),
        ends_at=datetime.now(UTC) + timedelta(hours=6 + 7 * place),
        reserve_price=price * 2 // 3 if place % 3 == 0 else None,
        buy_now_price=price * 2 if place % 4 == 0 else None,
        soft_close=SoftClose(window_s=120, extend_s=120, max_extensions=30),
    )


def main() -> int:
    """Seed the database of the settings; 2 for a bad setting."""
    say = partial(print, flush=True)
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        say(f"mnbara: {error}", file=sys.stderr)
        return 2
    say(asyncio.run(seed(settings.postgres_url, settings.redis_url)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
