"""Second, naive readings of the other formats: step by step, without the formulas of the rules."""

from dataclasses import dataclass, field

from tests.unit.handlers.auctions.oracle import ebay_step


@dataclass
class DutchOracle:
    """Walks the clock one millisecond step at a time, tick after tick."""

    start: int
    floor: int
    step: int
    tick_ms: int
    ends_ms: int
    clock_ms: int = 0
    price: int = 0
    next_ms: int = 0
    winner: str | None = None

    def __post_init__(self) -> None:
        self.price, self.next_ms = self.start, self.tick_ms

    def walk_to(self, at_ms: int) -> None:
        """Let the price fall at every tick that is reached."""
        while self.next_ms <= at_ms:
            self.price -= self.step
            self.price = max(self.price, self.floor)
            self.next_ms += self.tick_ms
        self.clock_ms = at_ms

    def bid(self, bidder: str, amount: int | None, at_ms: int) -> str:
        """Tell what comes of it."""
        if self.winner is not None or at_ms >= self.ends_ms:
            return "auction_not_live"
        self.walk_to(at_ms)
        if bidder == "seller":
            return "own_auction"
        if amount is not None and amount < self.price:
            return "bid_too_low"
        self.winner = bidder
        return "won"


@dataclass
class SealedOracle:
    """Keeps envelopes in the order they came; a later one of the same bidder throws the earlier one away."""

    start: int
    reserve: int | None
    second_price: bool
    units: int = 1
    envelopes: list[tuple[str, int, int]] = field(default_factory=list)

    def bid(self, bidder: str, amount: int, quantity: int = 1) -> str:
        """Tell what comes of it."""
        if bidder == "seller":
            return "own_auction"
        if amount < self.start:
            return "bid_too_low"
        self.envelopes = [envelope for envelope in self.envelopes if envelope[0] != bidder]
        self.envelopes.append((bidder, amount, quantity))
        return "sealed"

    def deal(self) -> tuple[dict[str, int], int]:
        """Give unit after unit to the best envelope that wants one; return who got how many, and the price."""
        least = self.start if self.reserve is None else self.reserve
        wishes = [[bidder, amount, wanted] for bidder, amount, wanted in self.envelopes if amount >= least]
        got: dict[str, int] = {}
        paid, left = self.start, self.units
        while left and any(wish[2] for wish in wishes):
            best = max(
                (wish for wish in wishes if wish[2]), key=lambda wish: wish[1]
            )  # the first of equal ones
            best[2] -= 1
            left -= 1
            paid = best[1]
            got[best[0]] = got.get(best[0], 0) + 1
        if got and self.second_price:
            paid = max((wish[1] for wish in wishes if wish[2]), default=least)
        return got, paid

    def result(self) -> tuple[str | None, int]:
        """Return the one winner and the price, or nobody and the starting price."""
        got, price = self.deal()
        return next(iter(got), None), price


@dataclass
class ReverseOracle:
    """An auction downwards as the list of bids (bidder, minimum) in the order they came; sorts all every time."""

    start: int
    reserve: int | None = None
    bids: list[tuple[str, int]] = field(default_factory=list)

    def ranking(self, bids: list[tuple[str, int]]) -> list[tuple[int, int, str]]:
        """Cheapest first: each bidder's lowest minimum; of equal ones the earlier."""
        best: dict[str, tuple[int, int, str]] = {}
        for place, (bidder, minimum) in enumerate(bids):
            if bidder not in best or minimum < best[bidder][0]:
                best[bidder] = (minimum, place, bidder)
        return sorted(best.values())

    def leader(self) -> str | None:
        """Who would get the job now."""
        return self.ranking(self.bids)[0][2] if self.bids else None

    def price(self) -> int:
        """One step under the second, not under the first; the leader's own later bids only count for the reserve."""
        if not self.bids:
            return self.start
        contested = list(self.bids)
        while len(contested) > 1 and contested[-1][0] == self.ranking(contested[:-1])[0][2]:
            contested.pop()
        ranking = self.ranking(contested)
        price = self.start
        if len(ranking) > 1:
            price = max(ranking[0][0], ranking[1][0] - ebay_step(ranking[1][0]))
        met = self.reserve is not None and self.ranking(self.bids)[0][0] <= self.reserve
        return min(price, self.reserve) if met and self.reserve is not None else price

    def maximum(self, bidder: str) -> int:
        """The most this bidder may ask for now."""
        if not self.bids:
            return self.start
        if bidder == self.leader():
            return self.ranking(self.bids)[0][0] - 1
        return max(0, self.price() - ebay_step(self.price()))

    def bid(self, bidder: str, minimum: int) -> bool:
        """Take the bid if it is low enough."""
        if minimum > self.maximum(bidder):
            return False
        self.bids.append((bidder, minimum))
        return True

    def retract(self, places: set[int]) -> None:
        """Forget bids by their place among those that stand."""
        self.bids = [bid for place, bid in enumerate(self.bids) if place not in places]


@dataclass
class UnitsOracle:
    """Several units: every unit that a last bid wants goes on a slip; sorts the slips, deals from the top."""

    start: int
    units: int
    bids: list[tuple[str, int, int]] = field(default_factory=list)

    def slips(self) -> list[tuple[int, int, str]]:
        """All slips, best first."""
        last = {bidder: (place, amount, wanted) for place, (bidder, amount, wanted) in enumerate(self.bids)}
        slips = []
        for bidder, (place, amount, wanted) in last.items():
            slips += [(-amount, place, bidder)] * wanted
        return sorted(slips)

    def holders(self) -> dict[str, int]:
        """Who would get how many now."""
        got: dict[str, int] = {}
        for _, _, bidder in self.slips()[: self.units]:
            got[bidder] = got.get(bidder, 0) + 1
        return got

    def price(self) -> int:
        """What the last unit goes for; the starting price while one is left."""
        slips = self.slips()
        return -slips[self.units - 1][0] if len(slips) >= self.units else self.start

    def minimum(self, bidder: str) -> int:
        """The least this bidder may offer now."""
        if bidder in self.holders():
            return max(amount for who, amount, _ in self.bids if who == bidder) + 1
        sold_out = len(self.slips()) >= self.units
        return self.price() + ebay_step(self.price()) if sold_out else self.start

    def bid(self, bidder: str, amount: int, wanted: int) -> str:
        """Tell what comes of it."""
        if bidder in self.holders() and wanted < [n for who, _, n in self.bids if who == bidder][-1]:
            return "units_reduced"
        if amount < self.minimum(bidder):
            return "bid_too_low"
        self.bids.append((bidder, amount, wanted))
        return "leading"

    def retract(self, bidder: str) -> None:
        """Forget all bids of a bidder."""
        self.bids = [bid for bid in self.bids if bid[0] != bidder]
