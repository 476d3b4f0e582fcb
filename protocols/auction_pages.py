"""Auctions as one of their readers sees them: an entry of a watch list, a whole page."""

from msgspec import Struct

from protocols.auctions import AuctionSummary
from protocols.values import Timestamp
from protocols.watching import YourState


class WatchedAuction(AuctionSummary, frozen=True, kw_only=True):
    """An auction of your watch list."""

    your_state: YourState
    your_maximum: int | None
    """While you lead."""
    remind_before_s: list[int]


class WatchList(Struct, frozen=True):
    """One page of your watch list."""

    items: list[WatchedAuction]
    next_cursor: str | None
    server_time: Timestamp
