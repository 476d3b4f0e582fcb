"""Signals as support sees them."""

import msgspec

from protocols.auctions.signals import Signal
from protocols.values import to_timestamp
from storage.auctions.signals_postgres import SignalRow


def to_signal(row: SignalRow) -> Signal:
    """Return a signal."""
    resolved_at_ms = row.resolved_at_ms
    return Signal(
        id=row.signal_id,
        auction_id=row.auction_id,
        seller_id=row.seller_id,
        bidder_id=row.bidder_id,
        kind=row.kind,
        score=row.score,
        evidence=msgspec.json.decode(row.evidence, type=dict[str, int]),
        status=row.status,
        note=row.note,
        raised_at=to_timestamp(row.raised_at_ms),
        resolved_by=row.resolved_by,
        resolved_at=None if resolved_at_ms is None else to_timestamp(resolved_at_ms),
    )
