"""How a user stands in an auction, and the watch that a bid begins."""

from collections.abc import Set as AbstractSet
from uuid import UUID

from handlers.auctions.formats.table import FORMATS
from protocols.auctions.watching import YourState
from storage.auctions.auctions_postgres import AuctionRow
from storage.auctions.watches_postgres import watch_for_bidders
from storage.engines.postgres import Connection

LEADS_S = (60, 600, 3600)
"""Before the end, when watchers can be reminded."""

DEFAULT_LEADS_S = [600]
"""When those are reminded who did not choose."""

WATCHES_MAX = 1_000
"""Auctions one user may watch without bidding: each costs a row, and the list is read as a whole."""

KNOWN_MAX = 100_000
"""Bidders remembered as watching, about 200 bytes each."""

_known: dict[tuple[UUID, UUID], None] = {}
"""Pairs of auction and bidder whose row was committed before; the oldest makes room."""


def state_of(user_id: UUID | None, auction: AuctionRow, *, has_bid: bool, has_units: bool) -> YourState:
    """Return how a user stands in the auction of a row; `has_units`: some of several units are theirs."""
    status = auction.status
    is_ahead = has_units or (user_id is not None and auction.leader_id == user_id)
    if is_ahead and status in {"sold", "live"}:
        return "won" if status == "sold" else "leading"
    if not has_bid or status == "scheduled":
        return "none"
    if status != "live":
        return "lost"
    return "sealed" if FORMATS[auction.format].bid_mechanism == "sealed" else "outbid"


async def watch_as_bidders(db: Connection, bidders: AbstractSet[tuple[UUID, UUID]], at_ms: int) -> None:
    """Have those watch whose bids were accepted, as pairs of auction and bidder; who stopped watching is left alone.

    Cost: one round trip when somebody's first or second bid in an auction is among them, none for later bids. After
    the second bid the row is known to be committed.
    """
    unknown = bidders - _known.keys()
    if not unknown:
        return
    new = await watch_for_bidders(db, unknown, DEFAULT_LEADS_S, at_ms)
    _known.update(dict.fromkeys(unknown - new))
    while len(_known) > KNOWN_MAX:
        del _known[next(iter(_known))]
