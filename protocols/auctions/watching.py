"""The words of watching auctions; what a watch list and a page look like is in `auction_pages`."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from protocols.auctions.terms import Status
from protocols.errors import Refusal
from protocols.values import Currency, Cursor, PageLimit, Timestamp

LeadS = Literal[60, 600, 3600]
"""How many seconds before the end watchers can be reminded."""

RemindBefore = Annotated[list[LeadS], Meta(max_length=3)]
"""When to be told that an auction ends soon; empty: never."""

YourState = Literal["none", "leading", "outbid", "sealed", "won", "lost"]
"""How you stand: `none` without a bid of yours; `sealed` while your bid is closed; `won` or `lost` when it is over."""

# -- Commands and queries ------------------------------------------------------------------------------------


class WatchAuction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Have an auction in your watch list and be reminded before its end; repeating it changes what is given."""

    auction_id: UUID
    remind_before_s: RemindBefore | None = None
    """None keeps what was chosen, at first ten minutes before the end."""


class UnwatchAuction(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Have an auction out of your watch list; repeating it changes nothing."""

    auction_id: UUID


class ListWatched(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read what you watch: open auctions, the soonest to end first, then those that are over, the latest first."""

    show: Literal["all", "open", "over"] = "all"
    status: Status | None = None
    limit: PageLimit = 50
    cursor: Cursor | None = None


# -- Replies -------------------------------------------------------------------------------------------------


class Watch(Struct, frozen=True, kw_only=True):
    """Whether you watch an auction."""

    auction_id: UUID
    watching: bool
    remind_before_s: list[int]
    watcher_count: int


# -- Events on `personal:#<user_id>` -------------------------------------------------------------------------


class EndingSoon(Struct, frozen=True, kw_only=True, gc=False):
    """An auction you watch or bid on ends within the time you chose; told once per time, extended or not."""

    auction_id: UUID
    title: str
    """Of the goods."""
    listing_id: UUID
    lead_s: int
    """The time you chose; `ends_at` tells the end as it is now."""
    ends_at: Timestamp
    price: int
    minimum_bid: int
    currency: Currency
    your_state: YourState


class WatchedAuctionStarted(Struct, frozen=True, kw_only=True, gc=False):
    """A scheduled auction you watch takes bids now."""

    auction_id: UUID
    title: str
    """Of the goods."""
    listing_id: UUID
    ends_at: Timestamp
    price: int
    minimum_bid: int
    currency: Currency


PERSONAL_EVENTS: dict[str, type[Struct]] = {
    "ending_soon": EndingSoon,
    "watched_auction_started": WatchedAuctionStarted,
}
"""Event types on `personal:#<user_id>`, listed with those of auctions."""


# -- Refusals ------------------------------------------------------------------------------------------------


class WatchListFull(Refusal):
    """You watch as many open auctions as one user can; unwatch some first."""

    code, number, status = "watch_list_full", 740, 409
