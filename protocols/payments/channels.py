"""The names of payments' channels and streams."""

from uuid import UUID

TREASURY = "treasury"
"""The one channel of the market's books, and its stream."""


def escrow_stream(escrow_id: UUID) -> str:
    """Return the aggregate of an escrow's facts."""
    return f"escrows:{escrow_id}"
