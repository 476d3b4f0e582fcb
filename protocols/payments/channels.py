"""The names of payments' streams."""

from uuid import UUID


def escrow_stream(escrow_id: UUID) -> str:
    """Return the aggregate of an escrow's facts."""
    return f"escrows:{escrow_id}"
