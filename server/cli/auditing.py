"""The auditor: recomputes an auction's course and result from its public audit alone, by rules written down again here.

It shares nothing with the server's rules but the words of the answer; every deviation is a sentence with the number of
its event. What stays secret (an English bidder's maximum) is checked by what it must lead to.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from protocols.auctions.audits import AuctionAudit, AuditEvent, commitment_of
from protocols.values import AMOUNT_MAX

HOUR_MS = 3_600_000


@dataclass(slots=True)
class Verdict:
    """What the auditor found; `faults` is empty when everything is equal."""

    outcome: str = "open"
    price: int = 0
    winner: str | None = None
    winners: list[tuple[str, int]] = field(default_factory=list)
    """Of several units: who gets how many."""
    bids: int = 0
    faults: list[str] = field(default_factory=list)


def audit(told: AuctionAudit, events: Sequence[AuditEvent]) -> Verdict:
    """Replay all events of an auction; `told` is the newest page's header."""
    several = "several_" if told.format == "english" and told.quantity > 1 else ""
    course = _COURSES[several + told.format](told)
    verdict = course.verdict
    course.expect([e.number for e in events] == list(range(1, told.version + 1)), 0, "events are missing")
    for event in events:
        try:
            course.take(event)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            course.expect(False, event.number, f"cannot be read ({type(error).__name__}: {error})")
    over = told.status not in {"scheduled", "live"}
    course.expect(over == course.closed, 0, f"status {told.status} does not follow from the events")
    course.expect(instant(told.ends_at) == course.ends_ms, 0, f"the end {told.ends_at} does not follow")
    verdict.price = course.shown_price()
    if over:
        pairs = {"outcome": told.status, "price": told.price, "winner": told.winner}
        for name, value in pairs.items():
            mine = getattr(verdict, name)
            course.expect(mine == value, 0, f"{name} is {value}, and should be {mine}")
    course.expect(told.bid_count == verdict.bids, 0, f"{told.bid_count} bids, and should be {verdict.bids}")
    return verdict


def instant(text: str) -> int:
    """Return milliseconds since the epoch of an RFC 3339 text."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


class _Course:
    """What all formats share: the opening, the start, the end."""

    def __init__(self, told: AuctionAudit) -> None:
        self.told = told
        self.verdict = Verdict(price=told.starting_price)
        self.price = told.starting_price
        self.status = ""
        self.closed = False
        self.starts_ms = instant(told.starts_at)
        self.ends_ms = instant(told.planned_end)

    def expect(self, holds: bool, number: int, otherwise: str) -> None:  # noqa: FBT001 - reads like a sentence
        """Note a fault unless it holds."""
        if not holds:
            self.verdict.faults.append(f"event {number}: {otherwise}" if number else otherwise)

    def shown_price(self) -> int:
        """Return the price the events lead to."""
        return self.price

    def take(self, event: AuditEvent) -> None:
        """Check one event and go on from it."""
        number, data = event.number, event.data
        self.expect(not self.closed, number, "comes after the close")
        kind = data["type"]
        self.expect((number == 1) == (kind == "auction_opened"), number, "an auction begins with its opening")
        step = getattr(self, f"on_{kind}", None)
        if step is None:
            self.expect(False, number, f"{kind} does not belong to this format")
            return
        step(event, data)

    def on_auction_opened(self, event: AuditEvent, data: dict[str, Any]) -> None:
        told = self.told
        dutch = (
            None
            if told.dutch is None
            else {n: getattr(told.dutch, n) for n in ("floor_price", "step", "tick_s")}
        )
        terms = {
            "auction_id": str(told.auction_id),
            "format": told.format,
            "currency": told.currency,
            "starting_price": told.starting_price,
            "minimum_bid": told.starting_price,
            "has_reserve": told.has_reserve,
            "buy_now_price": told.buy_now_price,
            "starts_at": told.starts_at,
            "ends_at": told.planned_end,
            "quantity": told.quantity,
        }
        data = {"quantity": 1, **data}
        for name, value in terms.items():
            self.expect(data[name] == value, event.number, f"{name} was {data[name]} and is now {value}")
        self.expect(data.get("dutch") == dutch, event.number, "the terms of the fall were changed")
        self.status = data["status"]

    def on_auction_started(self, event: AuditEvent, data: dict[str, Any]) -> None:
        self.expect(self.status == "scheduled", event.number, "started twice")
        self.expect(instant(data["at"]) >= self.starts_ms, event.number, "started early")
        self.status = "live"

    def check_receipt(self, event: AuditEvent) -> int:
        """Return when a bid was received; it has to be before the end of a live auction."""
        self.expect(self.status == "live", event.number, "a bid while the auction is not live")
        received_ms = instant(event.received_at or "")
        self.expect(received_ms < self.ends_ms, event.number, "a bid received at the end or after it")
        return received_ms

    def on_auction_closed(self, event: AuditEvent, data: dict[str, Any]) -> None:
        number, at_ms = event.number, instant(data["at"])
        self.closed = True
        self.expect(data["bid_count"] == self.verdict.bids, number, "another number of bids")
        if data["outcome"] == "cancelled":
            early = not self.verdict.bids or self.ends_ms - at_ms >= 12 * HOUR_MS
            self.expect(early, number, "cancelled with bids in the last twelve hours")
            outcome, winner = "cancelled", None
        elif data["bought_now"]:
            outcome, winner = self.buy_now(event, data)
        elif data.get("ended_early"):
            outcome, winner = self.end_early(event, data)
        else:
            outcome, winner = self.decide(event, at_ms)
        self.verdict.outcome, self.verdict.winner = outcome, winner
        price = self.price_at_close(outcome, at_ms)
        for name, mine in (("outcome", outcome), ("winner", winner), ("price", price)):
            self.expect(data[name] == mine, number, f"{name} is {data[name]}, and should be {mine}")
        shares = [{"winner": w, "quantity": units, "price": price} for w, units in self.verdict.winners]
        self.expect(data.get("winners", []) == shares, number, f"the winners should be {shares}")

    def price_at_close(self, outcome: str, at_ms: int) -> int:  # noqa: ARG002 - a falling price needs both
        """Return the price that the close shows."""
        return self.price

    def buy_now(self, event: AuditEvent, data: dict[str, Any]) -> tuple[str, str | None]:
        """Return outcome and winner of a purchase; formats without a buy-now price have none."""
        self.expect(False, event.number, f"bought now by {data['winner']}, which this format does not know")
        return "unsold", None

    def end_early(self, event: AuditEvent, data: dict[str, Any]) -> tuple[str, str | None]:
        """Return outcome and winner of a sale by the seller's wish; formats that nobody leads have none."""
        self.expect(False, event.number, f"ended early for {data['winner']}, which this format does not know")
        return "unsold", None

    def decide(self, event: AuditEvent, at_ms: int) -> tuple[str, str | None]:
        """Return outcome and winner at the end."""
        raise NotImplementedError

    def check_end(self, number: int, at_ms: int) -> None:
        """The close has to come after the end."""
        self.expect(at_ms >= self.ends_ms, number, "closed before the end")


class _English(_Course):
    """The price path: what each bid may do to price, leader and end."""

    sign = 1
    """The way bids drive the price: up, or (-1) down."""

    def __init__(self, told: AuctionAudit) -> None:
        super().__init__(told)
        self.minimum = told.starting_price
        self.leader: str | None = None
        self.met = not told.has_reserve
        self.extensions = 0
        self.awaited = 0
        self.standing: dict[int, tuple[str, int]] = {}

    def step(self, price: int) -> int:
        """Return the least raise at a price: of the first row whose limit is above it."""
        return next(step for limit, step in self.told.increments if limit is None or price < limit)

    def beyond(self, price: int, other: int) -> int:
        """Return how far a price has been driven beyond another."""
        return self.sign * (price - other)

    def next_bid(self, price: int) -> int:
        """Return the bid that a new bidder has to reach at a price."""
        return min(AMOUNT_MAX, max(0, price + self.sign * self.step(price)))

    def least_move(self) -> int:
        """Return the price that a bid of another bidder leads to at least, whatever the leader's secret limit."""
        limits = [limit for limit, _ in self.told.increments[:-1] if limit]
        if self.sign > 0:
            return min([self.minimum, *(p + self.step(p) for p in limits if p > self.price)])
        return max([self.minimum, *(p - self.step(p) for p in (n - 1 for n in limits) if 0 < p < self.price)])

    def take(self, event: AuditEvent) -> None:
        extends = event.data["type"] == "auction_extended" and not event.data.get("by_group")
        self.expect(
            extends == (self.awaited == event.number),
            event.number,
            "an extension where none belongs, or none",
        )
        super().take(event)

    def on_bid_placed(self, event: AuditEvent, data: dict[str, Any]) -> None:
        number, price, bidder = event.number, data["price"], data["bidder"]
        received_ms = self.check_receipt(event)
        flips = data["reserve_met"] and not self.met
        self.expect(
            self.beyond(price, self.price) >= 0, number, f"the price went back from {self.price} to {price}"
        )
        self.expect(not (self.met and not data["reserve_met"]), number, "the reserve was met before")
        if flips:
            self.expect(data["leader"] == bidder, number, "another one than the bidder met the reserve")
        if self.leader is None:
            self.expect(data["leader"] == bidder, number, "the first bidder has to lead")
            self.expect(
                flips or price == self.told.starting_price, number, "the first bid makes the starting price"
            )
        elif bidder == self.leader:
            self.expect(data["leader"] == bidder, number, "the leader's own bid changed the leader")
            self.expect(flips or price == self.price, number, "the leader's own bid moved the price")
        else:
            self.expect(data["leader"] in {bidder, self.leader}, number, "a leader who did not bid")
            least = self.least_move()
            self.expect(self.beyond(price, least) >= 0, number, f"the price {price} does not reach {least}")
        self.price, self.leader, self.met = price, data["leader"], data["reserve_met"]
        self.standing[number] = (bidder, received_ms)
        self._check_shown(number, data)
        self._extend(number, received_ms, data)

    def _extend(self, number: int, received_ms: int, data: dict[str, Any]) -> None:
        soft = self.told.soft_close
        if (
            soft
            and self.extensions < soft.max_extensions
            and received_ms >= self.ends_ms - soft.window_s * 1000
        ):
            end_ms = received_ms + soft.extend_s * 1000
            if end_ms > self.ends_ms:
                self.ends_ms, self.awaited = end_ms, number + 1
                self.extensions += 1
        self.expect(instant(data["ends_at"]) == self.ends_ms, number, f"the end is {data['ends_at']}")

    def _check_shown(self, number: int, data: dict[str, Any]) -> None:
        """Count, minimum and reserve after a change."""
        self.verdict.bids = len(self.standing)
        self.minimum = self.next_bid(self.price) if self.standing else self.price
        self.expect(data["bid_count"] == len(self.standing), number, f"{data['bid_count']} bids")
        self.expect(
            data["minimum_bid"] == self.minimum,
            number,
            f"the minimum bid is {data['minimum_bid']}, and should be {self.minimum}",
        )

    def on_auction_extended(self, event: AuditEvent, data: dict[str, Any]) -> None:
        if data.get("by_group"):
            later = self.told.group_id is not None and instant(data["ends_at"]) > self.ends_ms
            self.expect(later, event.number, "followed a group it has not, or to an earlier end")
            self.ends_ms = instant(data["ends_at"])
        same = instant(data["ends_at"]) == self.ends_ms and data["extensions"] == self.extensions
        self.expect(same, event.number, "another end than the bid before it makes")

    def on_bid_retracted(self, event: AuditEvent, data: dict[str, Any]) -> None:
        number, at_ms, gone = event.number, instant(data["at"]), set(event.takes_back or ())
        own = {place: at for place, (bidder, at) in self.standing.items() if bidder == data["bidder"]}
        if data.get("reason", "retracted") != "retracted":
            self._check_taken(number, data["reason"], gone, own, at_ms)
        elif self.ends_ms - at_ms > 12 * HOUR_MS:
            self.expect(gone == set(own), number, "with more than twelve hours left all own bids go")
        else:
            last = gone == {max(own, default=0)} and at_ms - own[max(own)] <= HOUR_MS
            self.expect(last, number, "in the last twelve hours only the last bid goes, within an hour")
        self.standing = {place: bid for place, bid in self.standing.items() if place not in gone}
        self.expect(instant(data["ends_at"]) == self.ends_ms, number, f"the end is {data['ends_at']}")
        self.expect(data["retracted"] == len(gone), number, "another number of bids went")
        back = (
            self.beyond(data["price"], self.told.starting_price)
            >= 0
            >= self.beyond(data["price"], self.price)
        )
        self.expect(back, number, "the price went on, or back too far")
        self._follow_retraction(number, data)

    def _follow_retraction(self, number: int, data: dict[str, Any]) -> None:
        """Leader and price after bids are gone."""
        bidders = {bidder for bidder, _ in self.standing.values()}
        self.expect(
            data["leader"] in bidders if bidders else data["leader"] is None, number, "a leader without a bid"
        )
        self.price, self.leader, self.met = data["price"], data["leader"], data["reserve_met"]
        self._check_shown(number, data)

    def _check_taken(self, number: int, reason: str, gone: set[int], own: dict[int, int], at_ms: int) -> None:
        """Bids that went without their bidder's wish."""
        self.expect(bool(gone) and gone <= set(own), number, "bids of somebody else went")
        if reason == "bidder_revoked":
            early = gone == set(own) and self.ends_ms - at_ms >= 12 * HOUR_MS
            self.expect(early, number, "a bidder was revoked in the last twelve hours, or kept bids")

    def buy_now(self, event: AuditEvent, data: dict[str, Any]) -> tuple[str, str | None]:
        self.check_receipt(event)
        offered = self.told.buy_now_price
        self.expect(
            offered is not None and offered >= self.price, event.number, "bought now at no price on offer"
        )
        self.price = offered or self.price
        return "sold", data["winner"]

    def end_early(self, event: AuditEvent, data: dict[str, Any]) -> tuple[str, str | None]:
        self.expect(self.leader is not None, event.number, "sold early to nobody")
        self.expect(instant(data["at"]) < self.ends_ms, event.number, "ended early after the end")
        return "sold", self.leader

    def decide(self, event: AuditEvent, at_ms: int) -> tuple[str, str | None]:
        self.check_end(event.number, at_ms)
        sold = self.leader is not None and self.met
        return ("sold", self.leader) if sold else ("unsold", None)


class _Reverse(_English):
    """The same downwards."""

    sign = -1


class _Several(_English):
    """Several units: who holds how many after each bid, and the one price."""

    def __init__(self, told: AuctionAudit) -> None:
        super().__init__(told)
        self.held: dict[str, int] = {}
        self.asked: dict[int, int] = {}

    def wanted(self) -> dict[str, int]:
        """Return how many units each bidder asks for: by the last bid that stands."""
        return {bidder: self.asked[place] for place, (bidder, _) in sorted(self.standing.items())}

    def on_bid_placed(self, event: AuditEvent, data: dict[str, Any]) -> None:
        number, bidder, quantity = event.number, data["bidder"], data.get("quantity", 1)
        received_ms = self.check_receipt(event)
        self.expect(1 <= quantity <= self.told.quantity, number, f"a bid for {quantity} units")
        fewer = bidder in self.held and quantity < self.wanted()[bidder]
        self.expect(not fewer, number, "fewer units than the bid it replaces")
        self.expect(data["price"] >= self.price, number, "the price fell")
        before = dict(self.held)
        self.standing[number], self.asked[number] = (bidder, received_ms), quantity
        self._hold(number, data)
        gained = [who for who in self.held if who != bidder and self.held[who] > before.get(who, 0)]
        self.expect(not gained, number, "others than the bidder got units")
        self.expect(bidder in self.held, number, "a bid that gets no units")
        self._extend(number, received_ms, data)

    def _follow_retraction(self, number: int, data: dict[str, Any]) -> None:
        self._hold(number, data)

    def _hold(self, number: int, data: dict[str, Any]) -> None:
        """Apply the changes; units are given out as long as there are any, to those who asked for them."""
        for change in data["units_held"]:
            self.held.pop(change["bidder"], None)
            if change["units"]:
                self.held[change["bidder"]] = change["units"]
        wanted, given = self.wanted(), sum(self.held.values())
        self.expect(
            all(0 < n <= wanted.get(who, 0) for who, n in self.held.items()), number, "more than asked for"
        )
        short = [who for who, n in self.held.items() if n < wanted.get(who, 0)]
        self.expect(len(short) <= 1, number, "more than one bid gets fewer units than it asks for")
        self.expect(
            given == min(self.told.quantity, sum(wanted.values())), number, f"{given} units are given out"
        )
        self.price, self.leader = data["price"], data["leader"]
        start = self.told.starting_price
        if given == self.told.quantity:
            self.expect(self.price >= start, number, "a price below the starting price")
        else:
            self.expect(self.price == start, number, "with units left the price is the starting price")
        leads = self.leader in self.held if self.held else self.leader is None
        self.expect(leads, number, "a leader without units")
        self._check_shown(number, data)

    def next_bid(self, price: int) -> int:
        sold_out = sum(self.held.values()) == self.told.quantity
        return super().next_bid(price) if sold_out else self.told.starting_price

    def decide(self, event: AuditEvent, at_ms: int) -> tuple[str, str | None]:
        self.check_end(event.number, at_ms)
        return self._share(event)

    def end_early(self, event: AuditEvent, data: dict[str, Any]) -> tuple[str, str | None]:
        super().end_early(event, data)
        return self._share(event)

    def _share(self, event: AuditEvent) -> tuple[str, str | None]:
        """Return the outcome for those who hold units at the close."""
        told = [(share["winner"], share["quantity"]) for share in event.data.get("winners", [])]
        self.expect(dict(told) == self.held, event.number, f"the winners should be {self.held}")
        self.expect(not told or told[0][0] == self.leader, event.number, "the leader is not the first winner")
        self.verdict.winners = told  # their order follows from secret amounts
        return ("sold", None) if self.held else ("unsold", None)


class _Dutch(_Course):
    """The price follows from the clock; the first bid ends the auction."""

    buyer: str | None = None
    closed_at_ms = 0

    def falls_to(self, at_ms: int) -> int:
        """Return the price of an instant."""
        terms = self.told.dutch
        assert terms is not None, "a Dutch auction has its terms"
        ticks = max(0, min(at_ms, self.ends_ms) - self.starts_ms) // (terms.tick_s * 1000)
        return max(terms.floor_price, self.told.starting_price - ticks * terms.step)

    def shown_price(self) -> int:
        return self.price if self.closed else self.told.price

    def on_bid_placed(self, event: AuditEvent, data: dict[str, Any]) -> None:
        self.expect(self.buyer is None, event.number, "a second bid")
        self.price, self.buyer = self.falls_to(self.check_receipt(event)), data["bidder"]
        self.expect(
            data["price"] == self.price, event.number, f"sold at {data['price']}, the price was {self.price}"
        )
        self.expect(data["leader"] == self.buyer, event.number, "another leader than the bidder")
        self.verdict.bids = 1

    def price_at_close(self, outcome: str, at_ms: int) -> int:
        if outcome != "sold":
            live = self.status == "live"
            self.price = self.falls_to(
                at_ms if outcome == "cancelled" and live else self.ends_ms if live else 0
            )
        return self.price

    def decide(self, event: AuditEvent, at_ms: int) -> tuple[str, str | None]:
        if self.buyer is not None:
            return "sold", self.buyer
        self.check_end(event.number, at_ms)
        return "unsold", None


class _Sealed(_Course):
    """Commitments first, openings after the end; each opening has to fit, and none may be missing."""

    def __init__(self, told: AuctionAudit) -> None:
        super().__init__(told)
        self.commitments: dict[int, tuple[str, str]] = {}
        self.last: dict[str, int] = {}
        self.offers: dict[int, tuple[int, str, int]] = {}

    def on_bid_placed(self, event: AuditEvent, data: dict[str, Any]) -> None:
        self.check_receipt(event)
        bidder = data["bidder"]
        self.commitments[event.number] = (bidder, data["commitment"])
        self.last[bidder] = event.number
        self.verdict.bids = len(self.last)
        self.expect(data["bid_count"] == len(self.last), event.number, "another number of bids")
        shown = (data["price"], data["minimum_bid"], data["leader"])
        start = self.told.starting_price
        self.expect(shown == (start, start, None), event.number, "shows more than a commitment")

    def on_bids_opened(self, event: AuditEvent, data: dict[str, Any]) -> None:
        number = event.number
        self.check_end(number, instant(data["at"]))
        self.expect(data["reserve_price"] == self.told.reserve_price, number, "another reserve")
        for opening in data["openings"]:
            place, bidder = opening["offset"], opening["bidder"]
            self.expect(
                self.last.get(bidder) == place, number, f"bid {place} is not the last one of {bidder}"
            )
            amount, quantity = opening["amount"], opening.get("quantity")
            self.expect((quantity is None) == (self.told.quantity == 1), number, "a quantity, or none")
            made = commitment_of(self.told.auction_id, bidder, amount, opening["nonce"], quantity)
            fits = self.commitments.get(place) == (bidder, made)
            self.expect(fits, number, f"the opening of bid {place} does not fit its commitment")
            self.offers[place] = (amount, bidder, quantity or 1)
        left = len(self.last) - len(self.offers)
        self.expect(data["remaining"] == left, number, f"{data['remaining']} remaining, and should be {left}")

    def decide(self, event: AuditEvent, at_ms: int) -> tuple[str, str | None]:
        number, told = event.number, self.told
        self.check_end(number, at_ms)
        self.expect(set(self.offers) == set(self.last.values()), number, "bids were not opened")
        self.expect(told.has_reserve == (told.reserve_price is not None), number, "the reserve is not told")
        least = told.reserve_price or told.starting_price
        ranking = sorted((-amount, place, bidder, n) for place, (amount, bidder, n) in self.offers.items())
        units = [(-worse, bidder) for worse, _, bidder, n in ranking for _ in range(n) if -worse >= least]
        if not units:
            return "unsold", None
        won, rest = units[: told.quantity], units[told.quantity :]
        self.price = won[-1][0] if told.format == "sealed_first_price" else rest[0][0] if rest else least
        if told.quantity == 1:
            return "sold", won[0][1]
        self.verdict.winners = list(Counter(bidder for _, bidder in won).items())
        return "sold", None


_COURSES: dict[str, type[_Course]] = {
    "english": _English,
    "several_english": _Several,
    "reverse": _Reverse,
    "dutch": _Dutch,
    "sealed_first_price": _Sealed,
    "sealed_second_price": _Sealed,
}
