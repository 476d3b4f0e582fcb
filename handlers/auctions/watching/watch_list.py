"""How a user stands in an auction, and the watch that a bid begins."""

from collections.abc import Sequence
from uuid import UUID

from handlers.auctions.formats.table import FORMATS
from handlers.contract import Call, Outcome
from protocols.auctions.commands import PlaceBid
from protocols.auctions.watching import YourState
from protocols.errors import Refusal
from storage.auctions.auctions_postgres import Row
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


def state_of(user_id: UUID | None, auction: Row, *, has_bid: bool, has_units: bool) -> YourState:
    """Return how a user stands in the auction of a row; `has_units`: in a lot of several, of which some are theirs."""
    status = auction["status"]
    is_ahead = has_units or (user_id is not None and auction["leader_id"] == user_id)
    if is_ahead and status in {"sold", "live"}:
        return "won" if status == "sold" else "leading"
    if not has_bid or status == "scheduled":
        return "none"
    if status != "live":
        return "lost"
    return "sealed" if FORMATS[auction["format"]].way == "sealed" else "outbid"


async def watch_as_bidders(
    db: Connection, calls: Sequence[Call[PlaceBid]], answers: Sequence[Outcome | Refusal]
) -> None:
    """Have those watch whose bids were accepted; who stopped watching is left alone.

    Cost: one round trip when somebody's first or second bid in an auction is among them, none for all later ones: the
    second time the row was committed by then, and is not asked for again.
    """
    pairs = {
        pair
        for call, answer in zip(calls, answers, strict=True)
        if isinstance(answer, Outcome) and (pair := (call.command.auction_id, call.caller.id)) not in _known
    }
    if not pairs:
        return
    news = await watch_for_bidders(db, pairs, DEFAULT_LEADS_S, calls[0].at_ms)
    _known.update(dict.fromkeys(pairs - news))
    while len(_known) > KNOWN_MAX:
        del _known[next(iter(_known))]
