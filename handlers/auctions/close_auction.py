"""Timer: close auctions that have ended. It may come twice, or too early after an extension: the locked row decides."""

from collections.abc import Sequence
from uuid import UUID

from msgspec.structs import replace

from handlers.auctions.closing import announce_close
from handlers.auctions.dutch_rules import stop_clock
from handlers.auctions.lots import Held, hold, save
from handlers.auctions.rules import CLOSE_RETRY_MS, close, closing_time, must_wait
from handlers.auctions.sales import sell_listings
from handlers.auctions.sealed_bids import SEALED, Opened, open_all, read_opened, write_opened
from handlers.contract import Outcome, Stores, Timer
from storage.auctions.backlog_redis import read_backlog

UNREADABLE_WAIT_MS = 60_000
"""When a sealed auction is tried again whose bids do not open: its master key may be put back."""


async def close_auction(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Close live auctions whose end has passed, never early; an extended one is asked for again at its new end.

    One with bids from before the end that a server has not committed waits for them, a second at most.
    """
    queued = await read_backlog(stores.redis, refs, now_ms)
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
    opened = await read_opened(stores, [one for one in due if one.lot.terms.format in SEALED])
    for one in due:
        bids = opened.get(one.lot.auction_id)
        if one.lot.terms.format in SEALED and bids is None:  # nobody may win before all bids are known
            timer = Timer("close_auction", one.lot.auction_id, now_ms + UNREADABLE_WAIT_MS)
            outcomes.append(Outcome(None, timers=[timer]))
            continue
        endings[one.lot.auction_id] = _close(one, bids or (), now_ms)
    for auction_id, event in (await sell_listings(stores.db, due, now_ms)).items():
        ending = endings[auction_id]
        endings[auction_id] = replace(ending, events=[*ending.events, event])
    await write_opened(stores, opened)
    await save(stores.db, held.values())
    return [*outcomes, *endings.values()]


def _close(held: Held, bids: Sequence[Opened], now_ms: int) -> Outcome:
    """End one auction by the rules of its format."""
    terms = held.lot.terms
    if terms.format in SEALED:
        events = open_all(held, bids)
        outcome = announce_close(held, now_ms)
        return replace(outcome, events=[*events, *outcome.events])
    held.state = close(terms, held.state)
    if terms.format == "dutch":
        held.state = stop_clock(terms, held.state, terms.ends_at_ms)
    return announce_close(held, now_ms)
