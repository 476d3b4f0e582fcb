"""The stock of a listing follows its auctions: they hold a quantity while they are open, and are settled afterwards.

Settling takes the quantity sold off the listing, gives back the rest, and logs the result. A command that ends an
auction settles it in its own transaction. After a closing by the clock, which must be on time, the timer
`notify_result` settles it, and the quantity stays held until then.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from msgspec.structs import replace

from handlers.auctions.allocations import winners
from handlers.auctions.guard_rules import OPEN
from handlers.auctions.locking import LockedAuction
from handlers.contract import Event, Latest, Outcome
from protocols.listings.channels import listing_stream, stock_channel
from storage.engines.postgres import Connection
from storage.ledger.leaves import Settlement, queue_settlements
from storage.listings.selling import EndedAuction, MovedStock, settle_auctions


async def settle_ended(
    db: Connection, auctions: Iterable[LockedAuction], now_ms: int
) -> dict[UUID, list[MovedStock]]:
    """Settle the auctions that this transaction has ended; return what moved, by auction.

    Call it before `save_auctions`: locks of listings come before auctions are written. Cost: as `settle`.
    """
    ended = [a for a in auctions if a.loaded.status in OPEN and a.state.status not in OPEN]
    return await settle(db, ended, now_ms)


async def settle(
    db: Connection, auctions: Sequence[LockedAuction], now_ms: int
) -> dict[UUID, list[MovedStock]]:
    """Take what auctions that are over sold off their listings and give back the rest; return what moved, by auction.

    A reverse auction holds nothing of its opener's. Every result goes to the transparency log. Cost: one round trip,
    three more if any auction held something, one more for every fifty.
    """
    await queue_settlements(db, [result for auction in auctions for result in _results(auction)], now_ms)
    ended = [
        EndedAuction(
            auction_id=a.terms.auction_id,
            listing_id=a.terms.listing_id,
            quantity=a.terms.sale.quantity,
            sold=_sold_quantity(a),
        )
        for a in auctions
        if not a.terms.rules.descending
    ]
    moved: dict[UUID, list[MovedStock]] = {}
    for one in await settle_auctions(db, ended, now_ms):
        assert one.movement.auction_id is not None, "an auction was settled"
        moved.setdefault(one.movement.auction_id, []).append(one)
    return moved


def _results(auction: LockedAuction) -> list[Settlement]:
    """Return what the log says of an auction: a result for each winner, or one without."""
    terms, state = auction.terms, auction.state
    got: list[tuple[UUID | None, int]] = [*winners(auction)] or [(None, 0)]
    return [
        Settlement(
            auction_id=terms.auction_id,
            seller_id=terms.sale.seller_id,
            outcome=state.status,
            price_minor=state.price,
            currency=terms.currency,
            bid_count=state.bid_count,
            winner_id=winner_id,
            units=units,
        )
        for winner_id, units in got
    ]


def add_movements(outcome: Outcome, movements: Sequence[MovedStock]) -> Outcome:
    """Return the outcome with these movements announced: to the audit, and to those who watch the listing."""
    return replace(
        outcome,
        events=[*outcome.events, *map(movement_event, movements)],
        latest=[*outcome.latest, *map(movement_latest, movements)],
    )


def movement_event(moved: MovedStock) -> Event:
    """Return the audit event of a movement."""
    stock = moved.stock
    return Event(listing_stream(stock.listing_id), "stock_moved", moved.movement.to_event(), stock.version)


def movement_latest(moved: MovedStock) -> Latest:
    """Return what watchers of the listing see after a movement."""
    stock = moved.stock
    return Latest(stock_channel(stock.listing_id), stock.version, stock.to_view())


def _sold_quantity(auction: LockedAuction) -> int:
    if auction.state.status != "sold":
        return 0
    return sum(allocation.units for allocation in auction.state.allocations) or 1
