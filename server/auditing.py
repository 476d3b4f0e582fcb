"""The auditor: recomputes an auction's course and result from its public audit alone, by rules written down again here.

It shares nothing with the server's rules but the words of the answer; every deviation is a sentence with the number of
its event. What stays secret (an English bidder's maximum) is checked by what it must lead to.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from protocols.auctions import AuctionAudit, AuditEvent, commitment_of

HOUR_MS = 3_600_000


@dataclass(slots=True)
class Verdict:
    """What the auditor found; `faults` is empty when everything is equal."""

    outcome: str = "open"
    price: int = 0
    winner: str | None = None
    bids: int = 0
    faults: list[str] = field(default_factory=list)


def audit(told: AuctionAudit, events: Sequence[AuditEvent]) -> Verdict:
    """Replay all events of an auction; `told` is the newest page's header."""
    course = _COURSES[told.format](told)
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
        }
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

    def price_at_close(self, outcome: str, at_ms: int) -> int:  # noqa: ARG002 - a falling price needs both
        """Return the price that the close shows."""
        return self.price

    def buy_now(self, event: AuditEvent, data: dict[str, Any]) -> tuple[str, str | None]:
        """Return outcome and winner of a purchase; formats without a buy-now price have none."""
        self.expect(False, event.number, f"bought now by {data['winner']}, which this format does not know")
        return "unsold", None

    def end_early(self, event: AuditEvent, data: dict[str, Any]) -> tuple[str, str | None]:
        """Return outcome and winner of a sale by the seller's wish; one format alone has a leader before the end."""
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

    def __init__(self, told: AuctionAudit) -> None:
        super().__init__(told)
        self.minimum = told.starting_price
        self.leader: str | None = None
        self.met = not told.has_reserve
        self.extensions = 0
        self.awaited = 0
        self.standing: dict[int, tuple[str, int]] = {}
        raises = [p + self.step(p) for limit, _ in told.increments[:-1] if limit for p in (limit - 1, limit)]
        self.ascending = raises == sorted(raises)
        """With such a table every bid of another bidder lifts the price to the minimum at least."""

    def step(self, price: int) -> int:
        """Return the least raise at a price: of the first row whose limit is above it."""
        return next(step for limit, step in self.told.increments if limit is None or price < limit)

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
        self.expect(price >= self.price, number, f"the price fell from {self.price} to {price}")
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
            low = self.ascending and price < self.minimum
            self.expect(not low, number, f"the price {price} is below the minimum bid {self.minimum}")
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
        self.minimum = self.price + self.step(self.price) if self.standing else self.price
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
        self.expect(
            self.told.starting_price <= data["price"] <= self.price, number, "the price rose, or fell too far"
        )
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
        self.amounts: dict[int, tuple[int, str]] = {}

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
            made = commitment_of(self.told.auction_id, bidder, opening["amount"], opening["nonce"])
            fits = self.commitments.get(place) == (bidder, made)
            self.expect(fits, number, f"the opening of bid {place} does not fit its commitment")
            self.amounts[place] = (opening["amount"], bidder)
        left = len(self.last) - len(self.amounts)
        self.expect(data["remaining"] == left, number, f"{data['remaining']} remaining, and should be {left}")

    def decide(self, event: AuditEvent, at_ms: int) -> tuple[str, str | None]:
        number, told = event.number, self.told
        self.check_end(number, at_ms)
        self.expect(set(self.amounts) == set(self.last.values()), number, "bids were not opened")
        self.expect(told.has_reserve == (told.reserve_price is not None), number, "the reserve is not told")
        least = told.reserve_price or told.starting_price
        ranking = sorted((-amount, place, bidder) for place, (amount, bidder) in self.amounts.items())
        if not ranking or -ranking[0][0] < least:
            return "unsold", None
        second = -ranking[1][0] if len(ranking) > 1 else least
        self.price = -ranking[0][0] if told.format == "sealed_first_price" else max(second, least)
        return "sold", ranking[0][2]


_COURSES: dict[str, type[_Course]] = {
    "english": _English,
    "dutch": _Dutch,
    "sealed_first_price": _Sealed,
    "sealed_second_price": _Sealed,
}
