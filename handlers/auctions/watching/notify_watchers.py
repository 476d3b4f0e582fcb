"""Timers: tell the watchers of an auction that it ends soon or has started, a chunk at a time.

How far a crowd has been told is a row written in the transaction of the notices, so that each is told once, whatever
dies in between. A time before the end is told once: the timer of an auction that was extended before it came is asked
for again at the new instant, that of one extended afterwards is gone.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from uuid import UUID

from msgspec import Struct

from handlers.auctions.views import to_summary
from handlers.auctions.watching.watch_list import LEADS_S, state_of
from handlers.contract import Event, Outcome, Stores, Timer
from handlers.domain import TimerHandler
from protocols.auctions.watching import EndingSoon, WatchedAuctionStarted, YourState
from protocols.topics import personal_channel
from storage.auctions.auctions_postgres import Row, read_auctions
from storage.auctions.watches_postgres import delete_tellings, read_tellings, read_watchers, write_tellings

WATCHERS_CHUNK = 1_000
"""Watchers told in one transaction: about 20 ms of work."""

_FROM_THE_FIRST = UUID(int=0)


class _News(Struct, frozen=True):
    """Something watchers are told."""

    kind: str
    """Of the timer."""
    tell: Callable[[UUID, UUID, YourState], Event]
    """Of an auction, a watcher and how that one stands: what is said."""
    lead_s: int | None = None
    """Only those are told who want to be reminded so long before the end; None: all."""


def timers_before_end(auction_id: UUID, starts_at_ms: int, ends_at_ms: int) -> list[Timer]:
    """Return the timers that remind watchers; an auction that is shorter than a time has none for it."""
    return [
        Timer(_ending_kind(lead_s), auction_id, ends_at_ms - lead_s * 1000)
        for lead_s in LEADS_S
        if ends_at_ms - lead_s * 1000 > starts_at_ms
    ]


def _ending_kind(lead_s: int) -> str:
    return f"ending_soon_{lead_s}"


async def tell_ending_soon(
    refs: Sequence[UUID], stores: Stores, now_ms: int, *, lead_s: int
) -> list[Outcome]:
    """Tell the next watchers of each auction that ends in `lead_s`, never of one that has ended."""
    kind = _ending_kind(lead_s)
    auctions = {row["auction_id"]: row for row in await read_auctions(stores.db, refs)}
    told = await read_tellings(stores.db, refs, kind)
    due, later = {}, []
    for auction_id, row in auctions.items():
        due_at_ms = row["ends_at_ms"] - lead_s * 1000
        if row["status"] not in {"scheduled", "live"} or now_ms >= row["ends_at_ms"]:
            continue
        if now_ms < due_at_ms and auction_id not in told:
            later.append(Timer(kind, auction_id, due_at_ms))
        else:
            due[auction_id] = row

    @cache
    def notice(auction_id: UUID, state: YourState) -> EndingSoon:
        view = to_summary(due[auction_id], now_ms)
        return EndingSoon(
            view.id, view.listing_id, lead_s, view.ends_at, view.price, view.minimum_bid, view.currency, state
        )

    def tell(auction_id: UUID, user_id: UUID, state: YourState) -> Event:
        return Event(personal_channel(user_id), "ending_soon", notice(auction_id, state))

    outcome = await _tell_next(_News(kind, tell, lead_s), due, told, stores, now_ms)
    return [outcome, Outcome(None, timers=later)]


async def tell_started(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Tell the next watchers of each auction that has started."""
    auctions = {row["auction_id"]: row for row in await read_auctions(stores.db, refs)}
    told = await read_tellings(stores.db, refs, "tell_started")
    live = {auction_id: row for auction_id, row in auctions.items() if row["status"] == "live"}

    @cache
    def notice(auction_id: UUID) -> WatchedAuctionStarted:
        view = to_summary(live[auction_id], now_ms)
        return WatchedAuctionStarted(
            view.id, view.listing_id, view.ends_at, view.price, view.minimum_bid, view.currency
        )

    def tell(auction_id: UUID, user_id: UUID, _state: YourState) -> Event:
        return Event(personal_channel(user_id), "watched_auction_started", notice(auction_id))

    return [await _tell_next(_News("tell_started", tell), live, told, stores, now_ms)]


async def _tell_next(
    news: _News, auctions: Mapping[UUID, Row], told: Mapping[UUID, UUID], stores: Stores, now_ms: int
) -> Outcome:
    """Tell a chunk of watchers; where some are left, remember the last one and ask to be called again."""
    after = {auction_id: told.get(auction_id, _FROM_THE_FIRST) for auction_id in auctions}
    each = max(1, WATCHERS_CHUNK // max(1, len(after)))
    watchers = await read_watchers(stores.db, after, news.lead_s, each) if after else []
    counts: Counter[UUID] = Counter()
    last: dict[UUID, UUID] = {}
    events = []
    for auction_id, user_id, has_bid, has_units in watchers:
        state = state_of(user_id, auctions[auction_id], has_bid=has_bid, has_units=has_units)
        events.append(news.tell(auction_id, user_id, state))
        counts[auction_id] += 1
        last[auction_id] = user_id
    more = {auction_id: last[auction_id] for auction_id, count in counts.items() if count == each}
    await write_tellings(stores.db, more, news.kind)
    await delete_tellings(stores.db, [auction_id for auction_id in told if auction_id not in more], news.kind)
    return Outcome(None, events, timers=[Timer(news.kind, auction_id, now_ms) for auction_id in more])


ENDING_SOON: dict[str, TimerHandler] = {
    _ending_kind(lead_s): partial(tell_ending_soon, lead_s=lead_s) for lead_s in LEADS_S
}
"""The timers of all times before the end."""
