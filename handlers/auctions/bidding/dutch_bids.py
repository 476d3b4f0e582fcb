"""The purchase that ends a Dutch auction, whichever command asks for it. Rules: dutch_rules.py."""

from uuid import UUID

from msgspec.structs import replace

from handlers.auctions.announcements import announce_close
from handlers.auctions.formats.dutch_rules import accept
from handlers.auctions.locking import Held
from handlers.contract import Event, Outcome
from protocols.auctions.commands import BidReceipt
from protocols.auctions.events import BidPlaced
from protocols.values import new_id, to_timestamp

BidRow = tuple[UUID, int, UUID, UUID, int, int, int]
"""A row of the bids table: auction_id, number, bid_id, bidder_id, amount, price, at_ms."""


def accept_price(held: Held, buyer: UUID, amount: int | None, at_ms: int, rows: list[BidRow]) -> Outcome:
    """Sell to the buyer at the price of this instant. Raises the refusals of `accept`, and then has changed nothing."""
    lot, before = held.lot, held.state
    held.state = state = accept(lot.terms, before, buyer, amount, at_ms)
    number, bid_id, ends_at = before.event_number + 1, new_id(), to_timestamp(state.ends_at_ms)
    rows.append((lot.auction_id, number, bid_id, buyer, state.price, state.price, at_ms))
    placed = BidPlaced(
        bid_id, lot.mask(buyer), state.price, state.minimum_bid, held.leader, state.bid_count, True, ends_at
    )
    receipt = BidReceipt(bid_id, number, "won", state.price, state.minimum_bid, ends_at)
    closed = announce_close(held, at_ms, reply=receipt)
    return replace(closed, events=[Event(lot.channel, "bid_placed", placed, number), *closed.events])
