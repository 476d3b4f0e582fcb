"""A listing follows its auction: a sale takes pieces off it, in the transaction of the sale."""

from collections.abc import Iterable
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from handlers.auctions.lots import Held
from handlers.contract import Event, Latest, Outcome
from protocols.stock import Stock, StockMoved
from protocols.topics import listing_stream, stock_channel
from protocols.values import Money
from storage.engines.postgres import Connection
from storage.listings.selling import PiecesSold, sell_pieces


class Sale(Struct, frozen=True):
    """What is told of pieces that were sold: to the audit, and to those who watch the listing."""

    event: Event
    latest: Latest
    left: int
    """Pieces that are left."""


async def sell_listings(db: Connection, held: Iterable[Held], now_ms: int) -> dict[UUID, Sale]:
    """Sell the units of every auction that this transaction has sold off its listing; return what to tell, by auction.

    A reverse auction sells nothing of its opener's. Call it before `save`: locks of listings come before auctions are
    written. Cost: four round trips if any was sold.
    """
    sold = {
        h.lot.listing_id: (h.lot.auction_id, sum(place.units for place in h.state.places) or 1)
        for h in held
        if h.state.status == "sold" != h.loaded.status and not h.lot.rules.descending
    }
    return await sell_units(db, sold, now_ms)


async def sell_units(db: Connection, sold: dict[UUID, tuple[UUID, int]], now_ms: int) -> dict[UUID, Sale]:
    """Sell units of each listing, given with its auction; a listing that has none left to sell is left out."""
    done = await sell_pieces(db, {listing_id: units for listing_id, (_, units) in sold.items()}, now_ms)
    return {sold[one.stock.listing_id][0]: _to_sale(one) for one in done}


def add_sales(outcome: Outcome, sales: Iterable[Sale]) -> Outcome:
    """Return an outcome that tells of these sales, too."""
    told = list(sales)
    events = [*outcome.events, *(sale.event for sale in told)]
    return replace(outcome, events=events, latest=[*outcome.latest, *(sale.latest for sale in told)])


def _to_sale(sold: PiecesSold) -> Sale:
    row, pieces = sold.stock, sold.movement.quantity
    moved = StockMoved(
        kind="sale",
        quantity=pieces,
        on_hand=row.quantity,
        reserved=row.reserved,
        reservation_id=None,
        version=row.version,
    )
    price = None if row.price_minor is None or row.currency is None else Money(row.price_minor, row.currency)
    stock = Stock(price=price, saleable=row.quantity - row.reserved, version=row.version, status=row.status)
    return Sale(
        Event(listing_stream(row.listing_id), "stock_moved", moved, row.version),
        Latest(stock_channel(row.listing_id), row.version, stock),
        row.quantity,
    )
