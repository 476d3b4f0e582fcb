"""The channel of a listing: its price and stock."""

from uuid import UUID

from handlers.domain import ChannelKind
from protocols.listings.channels import STOCK
from protocols.listings.commands import LATEST
from protocols.topics import Lane
from storage.engines.postgres import Connection
from storage.listings.lookups import read_stock

STOCK_INTERVAL_MS = 100
"""A listing's stock shows at most ten values a second to each reader."""


async def was_published(db: Connection, listing_id: UUID) -> bool:
    """Return whether there is a value to follow: a draft has none, and never loses it once it was published."""
    return await read_stock(db, listing_id) is not None


CHANNELS = (
    ChannelKind(
        word=STOCK,
        parameter="listing_id",
        lane=Lane.LATEST,
        readers="anyone, once it was published",
        interval_ms=STOCK_INTERVAL_MS,
        exists=was_published,
        newest=read_stock,
        value=LATEST[STOCK],
    ),
)
