"""A listing follows its auction: a sale takes a piece off it, in the transaction of the sale."""

from collections.abc import Iterable
from uuid import UUID

from handlers.auctions.lots import Held
from handlers.contract import Event
from protocols.listings import ListingSold
from protocols.topics import listing_stream
from storage.engines.postgres import Connection
from storage.listings.selling import sell_units


async def sell_listings(db: Connection, held: Iterable[Held], now_ms: int) -> dict[UUID, Event]:
    """Sell a piece of the listing of every auction that this transaction has sold; return what to tell, by auction.

    Call it before `save`: locks of listings come before auctions are written. Cost: one round trip if any was sold.
    """
    sold = {h.lot.listing_id: h.lot.auction_id for h in held if h.state.status == "sold" != h.loaded.status}
    return await sell_pieces(db, sold, now_ms)


async def sell_pieces(db: Connection, sold: dict[UUID, UUID], now_ms: int) -> dict[UUID, Event]:
    """Sell a piece of each listing given with its auction; a listing that is not active any more is left out."""
    return {
        sold[one.listing_id]: Event(
            listing_stream(one.listing_id),
            "listing_sold",
            ListingSold(auction_id=sold[one.listing_id], units=1, left=one.left, version=one.version),
            one.version,
        )
        for one in await sell_units(db, [(listing_id, 1) for listing_id in sold], now_ms)
    }
