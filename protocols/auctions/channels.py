"""The names of auctions' channels and streams."""

from uuid import UUID

AUCTIONS = "auctions"
TICKER = "ticker"


def auction_channel(auction_id: UUID) -> str:
    """Return the replayed channel (and stream) of an auction."""
    return f"{AUCTIONS}:{auction_id}"


def ticker_channel(auction_id: UUID) -> str:
    """Return the latest-value channel of an auction."""
    return f"{TICKER}:{auction_id}"


def signal_stream(signal_id: UUID) -> str:
    """Return the stream of a signal of abuse; it is no channel, nobody can subscribe to it."""
    return f"signals:{signal_id}"
