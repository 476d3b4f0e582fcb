"""Demo listings: every good in five cities, priced around its worth; the same on every machine but for their ids."""

import random

from handlers.domain import DemoMarket
from handlers.listings.demo_goods import CITIES, GOODS
from protocols.goods import Condition
from protocols.listings.commands import CreateListing, Price
from protocols.values import GeoPoint
from storage.listings.listings_postgres import count_listings

LISTING_COUNT = 200

_CONDITIONS: tuple[Condition, ...] = ("used", "like_new", "used", "new", "used", "for_parts")


def demo_listings() -> list[CreateListing]:
    """Return what is offered, in order."""
    rng = random.Random(1)
    return [_demo_listing(index, rng) for index in range(LISTING_COUNT)]


async def add_demo_listings(market: DemoMarket) -> str:
    """Have the demo sellers offer, in turn, what each has not offered yet."""
    sellers = list(market.people.values())
    async with market.connection() as db:
        offered = await count_listings(db, [seller.id for seller in sellers])
    added = 0
    for index, listing in enumerate(demo_listings()):
        seller = sellers[index % len(sellers)]
        if index // len(sellers) >= offered.get(seller.id, 0):
            await market.run("listings.create_listing", listing, seller)
            added += 1
    return f"{added} demo listings"


def _demo_listing(index: int, rng: random.Random) -> CreateListing:
    good = GOODS[index % len(GOODS)]
    city = CITIES[(index * 7 + index // len(GOODS)) % len(CITIES)]
    condition = _CONDITIONS[index % len(_CONDITIONS)]
    worth = good.euro_cents * city.euro * rng.uniform(0.8, 1.2) * (0.3 if condition == "for_parts" else 1.0)
    return CreateListing(
        title=good.title,
        description=f"{good.description}\n\n{city.name}",
        category=good.category,
        condition=condition,
        price=Price(amount=max(100, round(worth / 100) * 100), currency=city.currency),
        location=GeoPoint(
            lat=round(city.lat + rng.uniform(-0.05, 0.05), 5),
            lon=round(city.lon + rng.uniform(-0.05, 0.05), 5),
        ),
        weight_g=good.weight_g,
        volume_cm3=good.volume_cm3,
        quantity=rng.choice((1, 1, 1, 1, 2, 5)),
        attributes=dict(good.attributes) or None,
    )
