"""The purchase that ends a Dutch auction, whichever command asks for it. Rules: dutch_rules.py."""

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from handlers.auctions.announcements import announce_close
from handlers.auctions.formats.dutch_rules import accept
from handlers.auctions.locking import LockedAuction
from handlers.contract import Event, Fact, Latest, Outcome, Timer
from protocols.auctions.commands import BidReceipt
from protocols.auctions.events import BidPlaced
from protocols.values import new_id, to_timestamp

BidRow = tuple[UUID, int, UUID, UUID, int, int, int]
"""A row of the bids table: auction_id, number, bid_id, bidder_id, amount, price, at_ms."""


class DutchPurchase(Struct, frozen=True, kw_only=True):
    """A purchase that has ended a Dutch auction: its row is still to be written, its events to be sent."""

    row: BidRow
    receipt: BidReceipt
    events: list[Event]
    latest: Sequence[Latest]
    timers: Sequence[Timer]
    facts: Sequence[Fact]

    def to_outcome(self) -> Outcome:
        """Return the answer to the command that bought."""
        return Outcome(self.receipt, self.events, self.latest, self.timers, self.facts)


def accept_price(auction: LockedAuction, buyer: UUID, amount: int | None, at_ms: int) -> DutchPurchase:
    """Sell to the buyer at the price of this instant. Raises the refusals of `accept`, and then has changed nothing."""
    terms, before = auction.terms, auction.state
    auction.state = state = accept(terms.sale, before, buyer, amount, at_ms)
    number, bid_id, ends_at = before.event_number + 1, new_id(), to_timestamp(state.ends_at_ms)
    placed = BidPlaced(
        bid_id=bid_id,
        bidder=terms.mask(buyer),
        price=state.price,
        minimum_bid=state.minimum_bid,
        leader=auction.leader,
        bid_count=state.bid_count,
        reserve_met=True,
        ends_at=ends_at,
    )
    receipt = BidReceipt(
        bid_id=bid_id,
        offset=number,
        outcome="won",
        price=state.price,
        minimum_bid=state.minimum_bid,
        ends_at=ends_at,
    )
    closed = announce_close(auction, at_ms)
    return DutchPurchase(
        row=(terms.auction_id, number, bid_id, buyer, state.price, state.price, at_ms),
        receipt=receipt,
        events=[Event(terms.channel, "bid_placed", placed, number), *closed.events],
        latest=closed.latest,
        timers=closed.timers,
        facts=closed.facts,
    )
