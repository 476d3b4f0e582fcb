"""How other domains promise and sell the stock of a listing, in their own transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias
from uuid import UUID

from protocols.listings.stock import MovementKind
from protocols.listings.stock_levels import StockRow
from storage.engines.postgres import Connection
from storage.listings.stock_postgres import (
    MovementRow,
    insert_movements,
    lock_stock,
    movement_of,
    update_stock,
)

Goods: TypeAlias = StockRow
"""The stock of one listing, as other domains see it."""

UPDATE_CHUNK = 50
"""Listings per statement: a sale that leaves the index of active ones rewrites the words of its description, up to 9 ms
(1.3 ms for 300 words, measured); a statement may take 1.5 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedStock:
    """A listing's stock after a movement, and the movement to announce as the listing's event of its version."""

    stock: StockRow
    movement: MovementRow


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedAuction:
    """An auction that is over: the quantity it was opened with, and how much of it was sold."""

    auction_id: UUID
    listing_id: UUID
    quantity: int
    sold: int


async def lock_goods(db: Connection, listing_id: UUID) -> Goods | None:
    """Return the stock of a listing, or None; nobody else changes the listing until commit. Cost: one round trip."""
    return (await lock_stock(db, [listing_id])).get(listing_id)


async def sell_quantity(
    db: Connection, goods: Goods, auction_id: UUID, quantity: int, now_ms: int
) -> MovedStock:
    """Sell a saleable quantity of a locked listing to a bidder of an auction that is over. Cost: two round trips."""
    moved = _sell(goods, auction_id, quantity, now_ms)
    await _write(db, [moved], now_ms)
    return moved


async def hold_for_auction(
    db: Connection, goods: Goods, auction_id: UUID, quantity: int, now_ms: int
) -> MovedStock:
    """Hold a saleable quantity of a locked listing for an auction. Cost: two round trips."""
    after = replace(goods, version=goods.version + 1, auctioned=goods.auctioned + quantity)
    moved = _moved(after, "auction", auction_id, quantity, now_ms)
    await _write(db, [moved], now_ms)
    return moved


async def settle_auctions(db: Connection, ended: Sequence[EndedAuction], now_ms: int) -> list[MovedStock]:
    """Take what auctions sold off their listings, and give back what else they held; once for each auction.

    The last unit sold makes a listing `sold`, a withdrawn one too. Cost: three round trips, one more for every fifty
    listings. Locks: the listings by id; after auctions are locked and before they are written, because whoever opens
    an auction holds its listing and looks at auctions that were written.
    """
    if not ended:
        return []
    goods = await lock_stock(db, {one.listing_id for one in ended})
    moved: list[MovedStock] = []
    for one in ended:
        row = goods[one.listing_id]
        held = min(one.quantity, row.auctioned)  # less where stock was promised before auctions held it
        sold = min(one.sold, held)
        if sold:
            row = replace(row, auctioned=row.auctioned - sold)
            moved.append(_sell(row, one.auction_id, sold, now_ms))
            row = moved[-1].stock
        if returned := held - sold:
            row = replace(row, version=row.version + 1, auctioned=row.auctioned - returned)
            moved.append(_moved(row, "return", one.auction_id, returned, now_ms))
        goods[one.listing_id] = row
    await _write(db, moved, now_ms)
    return moved


def _sell(kept: StockRow, auction_id: UUID, quantity: int, now_ms: int) -> MovedStock:
    """Take a quantity that nobody holds any more off the listing."""
    left = kept.quantity - quantity
    status = kept.status if left else "sold"
    after = replace(kept, version=kept.version + 1, quantity=left, status=status)
    return _moved(after, "sale", auction_id, quantity, now_ms)


def _moved(after: StockRow, kind: MovementKind, auction_id: UUID, quantity: int, now_ms: int) -> MovedStock:
    movement = movement_of(after, kind, quantity, now_ms, auction_id=auction_id)
    return MovedStock(stock=after, movement=movement)


async def _write(db: Connection, moved: Sequence[MovedStock], now_ms: int) -> None:
    """Write the newest stock of each listing, and every movement."""
    newest = list({one.stock.listing_id: one.stock for one in moved}.values())
    for start in range(0, len(newest), UPDATE_CHUNK):
        await update_stock(db, newest[start : start + UPDATE_CHUNK], now_ms)
    if moved:
        await insert_movements(db, [one.movement for one in moved])
