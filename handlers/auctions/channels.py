"""The channels of auctions: every event of one, and its newest price."""

from uuid import UUID

from handlers.domain import ChannelKind
from protocols.auctions.channels import AUCTIONS, TICKER, auction_channel
from protocols.auctions.commands import EVENTS, LATEST
from protocols.topics import Lane
from storage.auctions.lookups import read_ticker
from storage.engines.postgres import Connection
from storage.platform.events_postgres import read_heads

TICKER_INTERVAL_MS = 100
"""A ticker shows at most ten values a second to each reader."""

PING_S = 10.0
"""Who bids in the last minute has to be found gone within a fraction of it."""


async def has_auction(db: Connection, auction_id: UUID) -> bool:
    """Return whether there is such an auction; it stays."""
    return bool(await read_heads(db, [auction_channel(auction_id)]))


CHANNELS = (
    ChannelKind(
        word=AUCTIONS,
        parameter="auction_id",
        lane=Lane.REPLAYED,
        readers="anyone",
        delta=True,
        ping_s=PING_S,
        shareable=True,
        counted=True,
        exists=has_auction,
        events=EVENTS,
    ),
    ChannelKind(
        word=TICKER,
        parameter="auction_id",
        lane=Lane.LATEST,
        readers="anyone",
        interval_ms=TICKER_INTERVAL_MS,
        delta=True,
        shareable=True,
        counted=True,
        exists=has_auction,
        newest=read_ticker,
        value=LATEST[TICKER],
    ),
)
