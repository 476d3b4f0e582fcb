"""A listing follows its auctions: they hold its pieces while they are open, and are settled when they are over.

What was sold goes off the listing, the rest comes back. A command that ends an auction settles it in its own
transaction; after closings by the clock, which must be on time, the timer `tell_result` does it right after the crowd,
and until then the pieces stay held.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from msgspec.structs import replace

from handlers.auctions.guard_rules import OPEN
from handlers.auctions.locking import Held
from handlers.contract import Event, Latest, Outcome
from protocols.listings.channels import listing_stream, stock_channel
from storage.engines.postgres import Connection
from storage.listings.selling import EndedAuction, PiecesMoved, settle_auctions


async def settle_ended(db: Connection, held: Iterable[Held], now_ms: int) -> dict[UUID, list[PiecesMoved]]:
    """Settle the auctions that this transaction has ended; return what moved, by auction.

    Call it before `save`: locks of listings come before auctions are written. Cost: as `settle`.
    """
    return await settle(
        db, [h for h in held if h.loaded.status in OPEN and h.state.status not in OPEN], now_ms
    )


async def settle(db: Connection, over: Sequence[Held], now_ms: int) -> dict[UUID, list[PiecesMoved]]:
    """Take what these auctions sold off their listings and give back the rest; return what moved, by auction.

    A reverse auction holds nothing of its opener's. Cost: three round trips if any held something, one more for every
    fifty.
    """
    ended = [
        EndedAuction(h.lot.auction_id, h.lot.listing_id, h.lot.terms.quantity, _sold(h))
        for h in over
        if not h.lot.rules.descending
    ]
    moved: dict[UUID, list[PiecesMoved]] = {}
    for one in await settle_auctions(db, ended, now_ms):
        assert one.movement.auction_id is not None, "an auction was settled"
        moved.setdefault(one.movement.auction_id, []).append(one)
    return moved


def tell_moved(outcome: Outcome, moved: Iterable[PiecesMoved]) -> Outcome:
    """Return an outcome that tells of these movements, too: to the audit, and to those who watch the listing."""
    told = list(moved)
    return replace(
        outcome,
        events=[*outcome.events, *map(event_of, told)],
        latest=[*outcome.latest, *map(latest_of, told)],
    )


def event_of(moved: PiecesMoved) -> Event:
    """Return the audit event of a movement."""
    row = moved.stock
    return Event(listing_stream(row.listing_id), "stock_moved", moved.movement.told(), row.version)


def latest_of(moved: PiecesMoved) -> Latest:
    """Return what watchers of the listing see after a movement."""
    row = moved.stock
    return Latest(stock_channel(row.listing_id), row.version, row.shown())


def _sold(held: Held) -> int:
    if held.state.status != "sold":
        return 0
    return sum(place.units for place in held.state.places) or 1
