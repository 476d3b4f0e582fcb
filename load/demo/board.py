"""What all users of the demo saw together: lots, figures, and every promise that was broken.

The checks: on every channel of every user event numbers follow one another; prices never go down except by a
retraction; every acknowledged bid is the event of its number, and is counted by the auction.
"""

import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from load.latencies import Latencies

RECENT_MAX = 8
"""Lines of the list of what just happened."""

HISTORY_S = 60
"""Seconds of bids per second that are kept for the curve."""


def to_seconds(timestamp: str) -> float:
    """Return the seconds since the epoch of a wire timestamp."""
    return datetime.fromisoformat(timestamp).timestamp()


@dataclass(slots=True)
class Lot:
    """One auction as its watchers know it."""

    auction_id: str
    title: str
    seller: str
    price: int
    minimum_bid: int
    ends_at: float
    """Seconds since the epoch."""
    number: int = 0
    """Of the newest event anybody saw; older ones, seen later by others, change nothing here."""
    leader: str | None = None
    bid_count: int = 0
    status: str = "live"
    watchers: int = 0
    extensions: int = 0
    events: dict[int, str] = field(default_factory=dict)
    """Bid id of each event number that was a bid."""
    acked: dict[int, str] = field(default_factory=dict)
    """Bid id of each event number that was promised to a bidder."""


@dataclass(slots=True)
class View:
    """How far one user has followed one lot."""

    who: str
    lot: Lot
    number: int = 0
    price: int = 0


class Board:
    """Everything the screen shows and the exit code depends on."""

    def __init__(self) -> None:
        """Start with an empty market."""
        self.lots: dict[str, Lot] = {}
        self.errors: list[str] = []
        self.refusals: Counter[str] = Counter()
        self.errands: Counter[str] = Counter()
        """What was done beside bidding on the lots."""
        self.recent: deque[str] = deque(maxlen=RECENT_MAX)
        self.replies = Latencies()
        self.sightings = Latencies()
        self.bids = self.deliveries = self.retries = self.reconnects = self.users = 0
        self.started_at = time.monotonic()
        self._sent_at: dict[str, float] = {}
        self._early: dict[str, list[float]] = {}
        self._per_second: Counter[int] = Counter()

    def fail(self, sentence: str) -> None:
        """Note a broken promise or an error no user caused."""
        self.errors.append(sentence)
        self.recent.append(f"[red]{sentence}[/]")

    # -- what users see ---------------------------------------------------------------------------------

    def show_snapshot(self, view: View, auction: Mapping[str, Any]) -> None:
        """A user read the auction, and follows its channel from exactly there."""
        view.number = auction["position"]["offset"]
        view.price = auction["price"]
        lot = view.lot
        if view.number >= lot.number:
            lot.number = view.number
            self._update(lot, auction)
            lot.status = auction["status"]

    def show_event(self, view: View, number: int, event: Mapping[str, Any]) -> None:
        """A user received an event of a lot."""
        now = time.monotonic()
        self.deliveries += 1
        lot, kind = view.lot, event.get("type", "")
        if number != view.number + 1:
            self.fail(f"{view.who} saw event {number} of {lot.title} after {view.number}")
        view.number = number
        price = event.get("price")
        if price is not None:
            if price < view.price and kind not in {"bid_retracted", "auction_closed"}:
                self.fail(f"the price of {lot.title} fell from {view.price} to {price}")
            view.price = price
        if kind == "bid_placed":
            self._sight_bid(lot, number, event["bid_id"], now)
        if number > lot.number:
            lot.number = number
            self._apply(lot, kind, event)

    def _sight_bid(self, lot: Lot, number: int, bid_id: str, now: float) -> None:
        if lot.events.setdefault(number, bid_id) != bid_id:
            self.fail(f"event {number} of {lot.title} is two different bids")
        sent_at = self._sent_at.get(bid_id)
        if sent_at is None:  # the event overtook the answer, which tells the bid's id
            self._early.setdefault(bid_id, []).append(now)
        else:
            self.sightings.add(now - sent_at)

    def _apply(self, lot: Lot, kind: str, event: Mapping[str, Any]) -> None:
        if kind == "auction_extended":
            lot.extensions += 1
        if kind == "auction_closed":
            lot.status = event["outcome"]
            if event["outcome"] == "sold":
                self.recent.append(
                    f"[bold green]{lot.title}[/] sold to {event['winner']} for {money(event['price'])}"
                )
            else:
                self.recent.append(f"[bold]{lot.title}[/] {event['outcome']}")
            return
        self._update(lot, event)

    def _update(self, lot: Lot, told: Mapping[str, Any]) -> None:
        lot.price = told.get("price", lot.price)
        lot.minimum_bid = told.get("minimum_bid", lot.minimum_bid)
        lot.bid_count = told.get("bid_count", lot.bid_count)
        lot.leader = told.get("leader", lot.leader)
        if "ends_at" in told:
            lot.ends_at = to_seconds(told["ends_at"])

    # -- what users do ----------------------------------------------------------------------------------

    def ack_bid(self, lot: Lot, who: str, receipt: Mapping[str, Any], sent_at: float) -> None:
        """A bid was answered: it is durable."""
        now = time.monotonic()
        bid_id, number = receipt["bid_id"], receipt["offset"]
        self.bids += 1
        self._per_second[int(now - self.started_at)] += 1
        self.replies.add(now - sent_at)
        if lot.acked.setdefault(number, bid_id) != bid_id:
            self.fail(f"event number {number} of {lot.title} was promised to two bids")
        self._sent_at[bid_id] = sent_at
        for seen_at in self._early.pop(bid_id, ()):
            self.sightings.add(seen_at - sent_at)
        if receipt["outcome"] == "leading":
            self.recent.append(f"{who} leads [bold]{lot.title}[/] at {money(receipt['price'])}")

    def check_end(self, lot: Lot, auction: Mapping[str, Any]) -> None:
        """Compare what was acknowledged with what watchers saw and what the server counts."""
        for number, bid_id in lot.acked.items():
            seen = lot.events.get(number)
            if seen is None and lot.watchers:
                self.fail(f"nobody saw acknowledged bid {number} of {lot.title}")
            elif seen is not None and seen != bid_id:
                self.fail(f"event {number} of {lot.title} is not the bid it was promised to")
        if auction["bid_count"] < len(lot.acked):
            self.fail(f"{lot.title} counts {auction['bid_count']} bids, {len(lot.acked)} were acknowledged")

    # -- figures ----------------------------------------------------------------------------------------

    def elapsed_s(self) -> float:
        """Return the seconds since the market opened."""
        return time.monotonic() - self.started_at

    def open_market(self) -> None:
        """Start the clock."""
        self.started_at = time.monotonic()

    def bids_per_s(self, seconds: int = 5) -> float:
        """Return acknowledged bids a second over the last whole seconds."""
        now = int(self.elapsed_s())
        span = max(1, min(seconds, now))
        return sum(self._per_second[second] for second in range(now - span, now)) / span

    def curve(self) -> list[int]:
        """Return bids in each of the last seconds, oldest first."""
        now = int(self.elapsed_s())
        return [self._per_second[second] for second in range(max(0, now - HISTORY_S), now)]


def money(amount: int) -> str:
    """Return an amount of euro cents for people."""
    return f"€ {amount / 100:,.2f}"
