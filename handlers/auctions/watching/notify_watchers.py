"""Timers: notify the watchers of an auction that it ends soon or has started, a chunk at a time.

The transaction of the notices also writes which watcher was notified last, so that each is notified once, whatever
fails in between. Each reminder before the end is sent once. If an extension comes before the reminder is due, its timer
is set again for the new instant; an extension that comes later sends no second reminder.
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
from storage.auctions.auctions_postgres import AuctionRow, read_auctions
from storage.auctions.watches_postgres import delete_notified, read_notified, read_watchers, write_notified

WATCHERS_CHUNK = 1_000
"""Watchers notified in one transaction: about 20 ms of work."""

_FROM_THE_FIRST = UUID(int=0)


class _Notice(Struct, frozen=True, kw_only=True):
    """What watchers are notified of."""

    kind: str
    """The kind of the timer."""
    to_event: Callable[[UUID, UUID, YourState], Event]
    """Takes an auction, a watcher and how that one stands."""
    lead_s: int | None = None
    """Only watchers who want to be reminded this long before the end are notified; None: all."""


def timers_before_end(auction_id: UUID, starts_at_ms: int, ends_at_ms: int) -> list[Timer]:
    """Return the timers that remind watchers; an auction that is shorter than a time has none for it."""
    return [
        Timer(_ending_kind(lead_s), auction_id, ends_at_ms - lead_s * 1000)
        for lead_s in LEADS_S
        if ends_at_ms - lead_s * 1000 > starts_at_ms
    ]


def _ending_kind(lead_s: int) -> str:
    return f"ending_soon_{lead_s}"


async def notify_ending_soon(
    refs: Sequence[UUID], stores: Stores, now_ms: int, *, lead_s: int
) -> list[Outcome]:
    """Notify the next watchers of each auction that ends in `lead_s`, never of one that has ended."""
    kind = _ending_kind(lead_s)
    auctions = {row.auction_id: row for row in await read_auctions(stores.db, refs)}
    notified = await read_notified(stores.db, refs, kind)
    due, later = {}, []
    for auction_id, row in auctions.items():
        due_at_ms = row.ends_at_ms - lead_s * 1000
        if row.status not in {"scheduled", "live"} or now_ms >= row.ends_at_ms:
            continue
        if now_ms < due_at_ms and auction_id not in notified:
            later.append(Timer(kind, auction_id, due_at_ms))
        else:
            due[auction_id] = row

    @cache
    def ending_soon(auction_id: UUID, state: YourState) -> EndingSoon:
        view = to_summary(due[auction_id], now_ms)
        return EndingSoon(
            auction_id=view.id,
            title=view.title,
            listing_id=view.listing_id,
            lead_s=lead_s,
            ends_at=view.ends_at,
            price=view.price,
            minimum_bid=view.minimum_bid,
            currency=view.currency,
            your_state=state,
        )

    def to_event(auction_id: UUID, user_id: UUID, state: YourState) -> Event:
        return Event(personal_channel(user_id), "ending_soon", ending_soon(auction_id, state))

    notice = _Notice(kind=kind, to_event=to_event, lead_s=lead_s)
    outcome = await _notify_next(notice, due, notified, stores, now_ms)
    return [outcome, Outcome(None, timers=later)]


async def notify_started(refs: Sequence[UUID], stores: Stores, now_ms: int) -> list[Outcome]:
    """Notify the next watchers of each auction that has started."""
    auctions = {row.auction_id: row for row in await read_auctions(stores.db, refs)}
    notified = await read_notified(stores.db, refs, "notify_started")
    live = {auction_id: row for auction_id, row in auctions.items() if row.status == "live"}

    @cache
    def started(auction_id: UUID) -> WatchedAuctionStarted:
        view = to_summary(live[auction_id], now_ms)
        return WatchedAuctionStarted(
            auction_id=view.id,
            title=view.title,
            listing_id=view.listing_id,
            ends_at=view.ends_at,
            price=view.price,
            minimum_bid=view.minimum_bid,
            currency=view.currency,
        )

    def to_event(auction_id: UUID, user_id: UUID, _state: YourState) -> Event:
        return Event(personal_channel(user_id), "watched_auction_started", started(auction_id))

    notice = _Notice(kind="notify_started", to_event=to_event)
    return [await _notify_next(notice, live, notified, stores, now_ms)]


async def _notify_next(
    notice: _Notice,
    auctions: Mapping[UUID, AuctionRow],
    notified: Mapping[UUID, UUID],
    stores: Stores,
    now_ms: int,
) -> Outcome:
    """Notify a chunk of watchers; where some are left, remember the last one and set the timer again."""
    after = {auction_id: notified.get(auction_id, _FROM_THE_FIRST) for auction_id in auctions}
    each = max(1, WATCHERS_CHUNK // max(1, len(after)))
    watchers = await read_watchers(stores.db, after, notice.lead_s, each) if after else []
    counts: Counter[UUID] = Counter()
    last: dict[UUID, UUID] = {}
    events = []
    for watcher in watchers:
        auction_id, user_id = watcher.auction_id, watcher.user_id
        state = state_of(user_id, auctions[auction_id], has_bid=watcher.has_bid, has_units=watcher.has_units)
        events.append(notice.to_event(auction_id, user_id, state))
        counts[auction_id] += 1
        last[auction_id] = user_id
    more = {auction_id: last[auction_id] for auction_id, count in counts.items() if count == each}
    await write_notified(stores.db, more, notice.kind)
    await delete_notified(
        stores.db, [auction_id for auction_id in notified if auction_id not in more], notice.kind
    )
    return Outcome(None, events, timers=[Timer(notice.kind, auction_id, now_ms) for auction_id in more])


REMINDERS: dict[str, TimerHandler] = {
    _ending_kind(lead_s): partial(notify_ending_soon, lead_s=lead_s) for lead_s in LEADS_S
}
"""A timer for each time before the end that a watcher can choose."""
