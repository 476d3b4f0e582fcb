"""The door through which other domains promise and sell pieces, in their own transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias
from uuid import UUID

from protocols.listings.stock import MovementKind
from protocols.listings.stock_levels import StockRow
from storage.engines.postgres import Connection
from storage.listings.stock_postgres import (
    MovementRow,
    ReservationRow,
    end_reservations,
    insert_movements,
    lock_stock,
    movement_of,
    read_reservations,
    update_stock,
)

Goods: TypeAlias = StockRow
"""The stock of one listing, as other domains hold it."""

UPDATE_CHUNK = 50
"""Listings per statement: a sale that leaves the index of active ones rewrites the words of its description, up to 9 ms
(1.3 ms for 300 words, measured); a statement may take 1.5 s."""


@dataclass(frozen=True, slots=True)
class PiecesMoved:
    """A listing's stock after pieces moved, and the movement to announce as the listing's event of its version."""

    stock: StockRow
    movement: MovementRow


@dataclass(frozen=True, slots=True)
class EndedAuction:
    """An auction that is over: how many pieces it was opened with, and how many of them it sold."""

    auction_id: UUID
    listing_id: UUID
    units: int
    sold: int


@dataclass(frozen=True, slots=True)
class Sale:
    """What was sold: the reservation with its frozen price, the stock afterwards, and the movement to announce."""

    reservation: ReservationRow
    stock: StockRow
    movement: MovementRow


async def sell_reserved(db: Connection, reservation_id: UUID, buyer_id: UUID, now_ms: int) -> Sale | None:
    """Take a buyer's reserved pieces off the shelf for good; None when the buyer holds no such reservation.

    The last piece sold makes the listing `sold`. Cost: six round trips. Locks: the listing's row.
    """
    first = (await read_reservations(db, [reservation_id])).get(reservation_id)
    if first is None or first.buyer_id != buyer_id:
        return None
    before = (await lock_stock(db, [first.listing_id]))[first.listing_id]
    held = (await read_reservations(db, [reservation_id]))[
        reservation_id
    ]  # as it is now that nobody changes it
    if held.status != "held":
        return None
    kept = replace(before, reserved=before.reserved - held.quantity)
    moved = _sell(kept, held.quantity, now_ms, reservation_id=reservation_id)
    await end_reservations(db, [reservation_id], "sold")
    await _write(db, [moved], now_ms)
    return Sale(replace(held, status="sold"), moved.stock, moved.movement)


async def lock_goods(db: Connection, listing_id: UUID) -> Goods | None:
    """Return the stock of a listing, or None; nobody else changes the listing until commit. Cost: one round trip."""
    return (await lock_stock(db, [listing_id])).get(listing_id)


async def sell_pieces(
    db: Connection, goods: Goods, auction_id: UUID, pieces: int, now_ms: int
) -> PiecesMoved:
    """Sell saleable pieces of a locked listing to a bidder of an auction that is over. Cost: two round trips."""
    moved = _sell(goods, pieces, now_ms, auction_id=auction_id)
    await _write(db, [moved], now_ms)
    return moved


async def put_up(db: Connection, goods: Goods, auction_id: UUID, units: int, now_ms: int) -> PiecesMoved:
    """Hold so many saleable pieces of a locked listing for an auction. Cost: two round trips."""
    after = replace(goods, version=goods.version + 1, auctioned=goods.auctioned + units)
    moved = _moved(after, "auction", units, now_ms, auction_id=auction_id)
    await _write(db, [moved], now_ms)
    return moved


async def settle_auctions(db: Connection, ended: Sequence[EndedAuction], now_ms: int) -> list[PiecesMoved]:
    """Take what auctions sold off their listings, and give back what they held beside it; once for each auction.

    The last piece sold makes a listing `sold`, a withdrawn one too. Cost: three round trips, one more for every fifty
    listings. Locks: the listings by id; after auctions are locked and before they are written, because whoever opens
    an auction holds its listing and looks at auctions that were written.
    """
    if not ended:
        return []
    goods = await lock_stock(db, {one.listing_id for one in ended})
    moved: list[PiecesMoved] = []
    for one in ended:
        row = goods[one.listing_id]
        held = min(one.units, row.auctioned)  # fewer where pieces were promised before auctions held them
        sold = min(one.sold, held)
        if sold:
            row = replace(row, auctioned=row.auctioned - sold)
            moved.append(_sell(row, sold, now_ms, auction_id=one.auction_id))
            row = moved[-1].stock
        if back := held - sold:
            row = replace(row, version=row.version + 1, auctioned=row.auctioned - back)
            moved.append(_moved(row, "return", back, now_ms, auction_id=one.auction_id))
        goods[one.listing_id] = row
    await _write(db, moved, now_ms)
    return moved


def _sell(kept: StockRow, pieces: int, now_ms: int, **whose: UUID) -> PiecesMoved:
    """Take pieces that nobody holds any more off the shelf."""
    left = kept.quantity - pieces
    status = kept.status if left else "sold"
    after = replace(kept, version=kept.version + 1, quantity=left, status=status)
    return _moved(after, "sale", pieces, now_ms, **whose)


def _moved(after: StockRow, kind: MovementKind, pieces: int, now_ms: int, **whose: UUID) -> PiecesMoved:
    return PiecesMoved(after, movement_of(after, kind, pieces, now_ms, **whose))


async def _write(db: Connection, moved: Sequence[PiecesMoved], now_ms: int) -> None:
    """Write the newest stock of each listing, and every movement."""
    newest = list({one.stock.listing_id: one.stock for one in moved}.values())
    for start in range(0, len(newest), UPDATE_CHUNK):
        await update_stock(db, newest[start : start + UPDATE_CHUNK], now_ms)
    if moved:
        await insert_movements(db, [one.movement for one in moved])
