"""Timer: close auctions that have ended. It may come twice, or too early after an extension: the locked row decides."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec.structs import replace

from handlers.auctions.announcements import announce_end
from handlers.auctions.closing.closing_drafts import close_drafted
from handlers.auctions.locking import LockedAuction, lock_auctions, save_auctions
from handlers.auctions.rules import CLOSE_RETRY_MS, closing_time, must_wait
from handlers.auctions.sealed_bids import DecryptedBid, decrypt_bids, end_sealed_auction, write_decrypted
from handlers.contract import Outcome, Stores, Timer
from storage.platform.backlog_redis import read_backlog

PLACE_BID = "auctions.place_bid"
"""The route whose commands a closing waits for."""

UNREADABLE_WAIT_MS = 60_000
"""When a sealed auction is tried again whose bids do not open: its master key may be put back."""


async def close_auction(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Close live auctions whose end has passed, never early; an extended one gets a timer at its new end.

    An auction waits, a second at most, while a server has not committed bids that it received before the end.
    """
    queued = await read_backlog(stores.redis, PLACE_BID, refs, now_ms)
    drafted = await close_drafted(stores.db, [ref for ref in refs if ref not in queued], now_ms)
    outcomes = list(drafted.values())
    others = [ref for ref in refs if ref not in drafted]
    return [*outcomes, *await _close_others(others, queued, stores, now_ms)] if others else outcomes


async def _close_others(
    refs: Sequence[UUID], queued: Mapping[UUID, int], stores: Stores, now_ms: int
) -> list[Outcome]:
    """Close those without a draft under the lock of their rows."""
    auctions = await lock_auctions(stores.db, refs)
    later: list[Timer] = []
    due = []
    for auction_id, auction in auctions.items():
        if auction.state.status not in {"scheduled", "live"}:
            continue
        due_at_ms = closing_time(auction.state.ends_at_ms)
        if now_ms < due_at_ms:
            later.append(Timer("close_auction", auction_id, due_at_ms))
        elif must_wait(auction.state.ends_at_ms, queued.get(auction_id), now_ms):
            later.append(Timer("close_auction", auction_id, now_ms + CLOSE_RETRY_MS))
        else:
            due.append(auction)
    decrypted = await decrypt_bids(stores, [a for a in due if a.terms.rules.bid_mechanism == "sealed"])
    closed = []
    for auction in due:
        auction_id = auction.terms.auction_id
        bids = decrypted.get(auction_id)
        if (
            auction.terms.rules.bid_mechanism == "sealed" and bids is None
        ):  # nobody wins before all bids are known
            later.append(Timer("close_auction", auction_id, now_ms + UNREADABLE_WAIT_MS))
        else:
            closed.append(_close(auction, bids or (), now_ms))
    await write_decrypted(stores, decrypted)
    await save_auctions(stores.db, auctions.values())
    return [*(Outcome(None, timers=[timer]) for timer in later), *closed]


def _close(auction: LockedAuction, bids: Sequence[DecryptedBid], now_ms: int) -> Outcome:
    """End one auction by the rules of its format."""
    end = auction.terms.rules.end
    if end is None:
        events = end_sealed_auction(auction, bids)
        outcome = announce_end(auction, now_ms)
        return replace(outcome, events=[*events, *outcome.events])
    auction.state = end(auction.terms.sale, auction.state)
    return announce_end(auction, now_ms)
