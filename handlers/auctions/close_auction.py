"""Timer: close auctions that have ended. It may come twice, or too early after an extension: the locked row decides."""

from collections.abc import Sequence
from uuid import UUID

from handlers.auctions.closing import announce_close
from handlers.auctions.lots import hold, save
from handlers.auctions.rules import close, closing_time
from handlers.contract import Outcome, Stores, Timer


async def close_auction(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Close live auctions whose end has passed, never early; an extended one is asked for again at its new end."""
    held = await hold(stores.db, refs)
    outcomes = []
    for one in held.values():
        if one.state.status not in {"scheduled", "live"}:
            continue
        due_at_ms = closing_time(one.state.ends_at_ms)
        if now_ms < due_at_ms:
            timer = Timer("close_auction", one.lot.auction_id, due_at_ms)
            outcomes.append(Outcome(None, timers=[timer]))
            continue
        one.state = close(one.lot.terms, one.state)
        outcomes.append(announce_close(one, now_ms))
    await save(stores.db, held.values())
    return outcomes
