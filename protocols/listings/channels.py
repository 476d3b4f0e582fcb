"""The names of listings' channels and streams."""

from uuid import UUID

STOCK = "stock"


def listing_stream(listing_id: UUID) -> str:
    """Return the stream of a listing's audit events; it is no channel, nobody can subscribe to it."""
    return f"listings:{listing_id}"


def stock_channel(listing_id: UUID) -> str:
    """Return the latest-value channel of a listing: price, stock, status."""
    return f"{STOCK}:{listing_id}"
