"""Blocks as their seller sees them."""

from protocols.auctions.guards import Block
from protocols.values import to_timestamp
from storage.auctions.guards_postgres import BlockRow


def to_block(row: BlockRow) -> Block:
    """Return a block; who was blocked by mask stays masked."""
    return Block(
        id=row.block_id,
        bidder_id=row.bidder_id if row.bidder_mask is None else None,
        auction_id=row.auction_id,
        bidder=row.bidder_mask,
        reason=row.reason,
        at=to_timestamp(row.at_ms),
    )
