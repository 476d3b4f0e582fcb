"""Timer: close auctions that have ended. It may come twice, or too early after an extension: the locked row decides."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec.structs import replace

from handlers.auctions.announcements import announce_end
from handlers.auctions.closing.closing_drafts import close_drafted
from handlers.auctions.locking import Held, hold, save
from handlers.auctions.rules import CLOSE_RETRY_MS, closing_time, must_wait
from handlers.auctions.sealed_bids import Opened, open_all, read_opened, write_opened
from handlers.contract import Outcome, Stores, Timer
from storage.platform.backlog_redis import read_backlog

PLACE_BID = "auctions.place_bid"
"""The route whose commands a closing waits for."""

UNREADABLE_WAIT_MS = 60_000
"""When a sealed auction is tried again whose bids do not open: its master key may be put back."""


async def close_auction(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Close live auctions whose end has passed, never early; an extended one is asked for again at its new end.

    One with bids from before the end that a server has not committed waits for them, a second at most.
    """
    queued = await read_backlog(stores.redis, PLACE_BID, refs, now_ms)
    drafted = await close_drafted(stores.db, [ref for ref in refs if ref not in queued], now_ms)
    outcomes = list(drafted.values())
    others = [ref for ref in refs if ref not in drafted]
    return [*outcomes, *await _close_others(others, queued, stores, now_ms)] if others else outcomes


async def _close_others(
    refs: Sequence[UUID], queued: Mapping[UUID, int], stores: Stores, now_ms: int
) -> list[Outcome]:
    """Decide under the lock of their rows."""
    held = await hold(stores.db, refs)
    outcomes = []
    due = []
    for one in held.values():
        if one.state.status not in {"scheduled", "live"}:
            continue
        due_at_ms = closing_time(one.state.ends_at_ms)
        if now_ms < due_at_ms:
            timer = Timer("close_auction", one.lot.auction_id, due_at_ms)
            outcomes.append(Outcome(None, timers=[timer]))
            continue
        if must_wait(one.state.ends_at_ms, queued.get(one.lot.auction_id), now_ms):
            timer = Timer("close_auction", one.lot.auction_id, now_ms + CLOSE_RETRY_MS)
            outcomes.append(Outcome(None, timers=[timer]))
            continue
        due.append(one)
    endings: dict[UUID, Outcome] = {}
    opened = await read_opened(stores, [one for one in due if one.lot.rules.way == "sealed"])
    for one in due:
        bids = opened.get(one.lot.auction_id)
        if one.lot.rules.way == "sealed" and bids is None:  # nobody may win before all bids are known
            timer = Timer("close_auction", one.lot.auction_id, now_ms + UNREADABLE_WAIT_MS)
            outcomes.append(Outcome(None, timers=[timer]))
            continue
        endings[one.lot.auction_id] = _close(one, bids or (), now_ms)
    await write_opened(stores, opened)
    await save(stores.db, held.values())
    return [*outcomes, *endings.values()]


def _close(held: Held, bids: Sequence[Opened], now_ms: int) -> Outcome:
    """End one auction by the rules of its format."""
    end = held.lot.rules.end
    if end is None:
        events = open_all(held, bids)
        outcome = announce_end(held, now_ms)
        return replace(outcome, events=[*events, *outcome.events])
    held.state = end(held.lot.terms, held.state)
    return announce_end(held, now_ms)
