"""A second, naive computation of proxy bidding and the reserve: sort all maxima, look at the best two, every time."""

from dataclasses import dataclass, field
from fractions import Fraction

TABLE = [("1", "0.05"), ("5", "0.25"), ("25", "0.50"), ("100", "1"), ("250", "2.50"), ("500", "5")]
TABLE += [("1000", "10"), ("2500", "25"), ("5000", "50")]


def ebay_step(price: int) -> int:
    """The step in cents at a price in cents, by walking down the table."""
    for below, step in TABLE:
        if Fraction(price, 100) < Fraction(below):
            return int(Fraction(step) * 100)
    return 10_000


@dataclass
class Oracle:
    """An auction as the list of bids (bidder, maximum) in the order they came."""

    start: int
    reserve: int | None = None
    bids: list[tuple[str, int]] = field(default_factory=list)

    def ranking(self, bids: list[tuple[str, int]]) -> list[tuple[int, int, str]]:
        """Best first: each bidder's highest maximum; of equal ones the earlier."""
        best: dict[str, tuple[int, int, str]] = {}
        for place, (bidder, maximum) in enumerate(bids):
            if bidder not in best or -maximum < best[bidder][0]:
                best[bidder] = (-maximum, place, bidder)
        return [(-negative, place, bidder) for negative, place, bidder in sorted(best.values())]

    def leader(self) -> str | None:
        """Who would win now."""
        return self.ranking(self.bids)[0][2] if self.bids else None

    def price(self) -> int:
        """The leader's raises of their own maximum do not count, unless they meet the reserve."""
        if not self.bids:
            return self.start
        contested = list(self.bids)
        while len(contested) > 1 and contested[-1][0] == self.ranking(contested[:-1])[0][2]:
            contested.pop()
        ranking = self.ranking(contested)
        price = self.start
        if len(ranking) > 1:
            (first, _, _), (second, _, _) = ranking[:2]
            price = min(first, second + ebay_step(second))
        met = self.reserve is not None and self.ranking(self.bids)[0][0] >= self.reserve
        return max(price, self.reserve) if met and self.reserve is not None else price

    def minimum(self, bidder: str) -> int:
        """The least this bidder may bid now."""
        if not self.bids:
            return self.start
        if bidder == self.leader():
            return self.ranking(self.bids)[0][0] + 1
        return self.price() + ebay_step(self.price())

    def bid(self, bidder: str, maximum: int) -> bool:
        """Take the bid if it is high enough."""
        if maximum < self.minimum(bidder):
            return False
        self.bids.append((bidder, maximum))
        return True

    def retract(self, places: set[int]) -> None:
        """Forget bids by their place among those that stand."""
        self.bids = [bid for place, bid in enumerate(self.bids) if place not in places]
