"""Auctions as callers see them: maxima hidden, bidders masked."""

from handlers.contract import Caller
from protocols.auctions import Auction, AuctionSummary
from protocols.topics import auction_channel
from protocols.values import Position, to_timestamp
from storage.auctions.auctions_postgres import Row


def _public(row: Row) -> dict[str, object]:
    reserve, buy_now, price = row["reserve_price"], row["buy_now_price"], row["price"]
    return {
        "id": row["auction_id"],
        "listing_id": row["listing_id"],
        "seller_id": row["seller_id"],
        "format": row["format"],
        "status": row["status"],
        "currency": row["currency"],
        "starting_price": row["starting_price"],
        "price": price,
        "minimum_bid": row["minimum_bid"],
        "bid_count": row["bid_count"],
        "leader": row["leader_mask"],
        "has_reserve": reserve is not None,
        "reserve_met": reserve is None or row["leader_max"] >= reserve,
        "buy_now_price": buy_now if buy_now is not None and price <= buy_now else None,
        "starts_at": to_timestamp(row["starts_at_ms"]),
        "ends_at": to_timestamp(row["ends_at_ms"]),
        "version": row["event_number"],
    }


def to_summary(row: Row) -> AuctionSummary:
    """Return an auction row as everyone sees it."""
    return AuctionSummary(**_public(row))  # type: ignore[arg-type]


def to_auction(row: Row, caller: Caller, epoch: str, now_ms: int) -> Auction:
    """Return an auction row as this caller sees it, with the position of its channel from the same row."""
    leads = caller.user_id is not None and row["leader_id"] == caller.user_id
    return Auction(
        **_public(row),  # type: ignore[arg-type]
        server_time=to_timestamp(now_ms),
        position=Position(auction_channel(row["auction_id"]), epoch, row["event_number"]),
        extensions=row["extensions"],
        you_lead=leads,
        your_maximum=row["leader_max"] if leads else None,
    )
