"""Auctions as callers see them: maxima hidden, bidders masked."""

from uuid import UUID

import msgspec
from msgspec import Struct

from handlers.auctions.formats.dutch_rules import next_price_at, price_at, steps_fallen
from handlers.auctions.rules import Fall, SaleTerms, Steps, UnitAllocation
from handlers.contract import Caller
from protocols.auctions.channels import auction_channel
from protocols.auctions.commands import Auction, AuctionSummary, ListedAuction
from protocols.auctions.terms import DutchTerms
from protocols.goods import Photo, to_photo
from protocols.values import Position, to_timestamp
from storage.auctions.auctions_postgres import AuctionRow, GuardedAuctionRow, ListedAuctionRow


class _Photo(Struct, frozen=True):
    """A photo as its listing's row keeps it."""

    photo_id: UUID
    width: int
    height: int
    caption: str = ""


class _Goods(Struct, array_like=True, frozen=True):
    """What an auction's row brings of its listing."""

    title: str
    photo: _Photo | None


_read_goods = msgspec.json.Decoder(_Goods).decode


def _to_photo(photo: _Photo | None) -> Photo | None:
    return None if photo is None else to_photo(photo.photo_id, photo.width, photo.height, photo.caption)


def _public(row: AuctionRow, now_ms: int) -> dict[str, object]:
    reserve, buy_now, price = row.reserve_price, row.buy_now_price, row.price
    minimum_bid, version = row.minimum_bid, row.event_number
    goods = _read_goods(row.goods)
    if row.fall is not None:
        terms = fall_terms(row)
        if row.status == "live":
            price = minimum_bid = price_at(terms, now_ms)
        version += steps_fallen(terms, price)  # the answer changes with the clock, and so does its tag
    return {
        "id": row.auction_id,
        "listing_id": row.listing_id,
        "seller_id": row.seller_id,
        "format": row.format,
        "status": row.status,
        "currency": row.currency,
        "starting_price": row.starting_price,
        "price": price,
        "minimum_bid": minimum_bid,
        "bid_count": row.bid_count,
        "leader": row.leader_mask,
        "has_reserve": reserve is not None,
        "reserve_met": _reserve_met(row),
        "buy_now_price": buy_now if buy_now is not None and price <= buy_now else None,
        "starts_at": to_timestamp(row.starts_at_ms),
        "ends_at": to_timestamp(row.ends_at_ms),
        "version": version,
        "quantity": row.quantity,
        "maximum_bid": minimum_bid if row.format == "reverse" else None,
        "title": goods.title,
        "photo": _to_photo(goods.photo),
    }


def _reserve_met(row: AuctionRow) -> bool:
    reserve: int | None = row.reserve_price
    if reserve is None:
        return True
    best: int = row.leader_max
    if row.format == "reverse":
        return row.leader_id is not None and best <= reserve
    return best >= reserve


def fall_terms(row: AuctionRow) -> SaleTerms:
    """Return what the price of a Dutch auction's row is computed from."""
    assert row.fall is not None, "a Dutch auction has a fall"
    return SaleTerms(
        seller_id=row.seller_id,
        starting_price=row.starting_price,
        reserve_price=None,
        buy_now_price=None,
        starts_at_ms=row.starts_at_ms,
        ends_at_ms=row.ends_at_ms,
        steps=Steps((), (1,)),
        soft_close=None,
        format="dutch",
        fall=Fall(*row.fall),
    )


def to_dutch(fall: Fall) -> DutchTerms:
    """Return how the price falls, as the wire has it."""
    return DutchTerms(floor_price=fall.floor_price, step=fall.step, tick_s=fall.tick_ms // 1000)


def to_summary(row: AuctionRow, now_ms: int) -> AuctionSummary:
    """Return an auction row as everyone sees it."""
    return AuctionSummary(**_public(row, now_ms))  # type: ignore[arg-type]


def to_listed(row: ListedAuctionRow, now_ms: int) -> ListedAuction:
    """Return an auction row as a list has it."""
    return ListedAuction(**_public(row, now_ms), distance_m=row.distance_m)  # type: ignore[arg-type]


def to_auction(
    row: GuardedAuctionRow, caller: Caller, epoch: str, now_ms: int, own: UnitAllocation | None = None
) -> Auction:
    """Return an auction row as this caller sees it, with the position of its channel from the same row.

    `own` is what the caller gets of several units.
    """
    dutch = fall_terms(row) if row.fall is not None else None
    falls_at_ms = next_price_at(dutch, now_ms) if dutch and row.status == "live" else None
    if row.quantity == 1 and caller.user_id is not None and row.leader_id == caller.user_id:
        own = UnitAllocation(caller.user_id, row.leader_max, 1, 1, 0)
    return Auction(
        **_public(row, now_ms),  # type: ignore[arg-type]
        server_time=to_timestamp(now_ms),
        position=Position(auction_channel(row.auction_id), epoch, row.event_number),
        extensions=row.extensions,
        you_lead=own is not None,
        your_maximum=own.amount if own else None,
        your_units=own.units if own else 0,
        group_id=row.group_id,
        exposure_guard=row.exposure_guard,
        wallet_guard=row.wallet_guard,
        bidders=row.bidders,
        deposit=row.deposit_minor,
        watcher_count=row.watchers or 0,
        dutch=to_dutch(dutch.fall) if dutch and dutch.fall else None,
        next_price_at=None if falls_at_ms is None else to_timestamp(falls_at_ms),
    )
