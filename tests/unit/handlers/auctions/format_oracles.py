"""Second, naive readings of the Dutch and the sealed formats: step by step, without any formula."""

from dataclasses import dataclass, field


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
    envelopes: list[tuple[str, int]] = field(default_factory=list)

    def bid(self, bidder: str, amount: int) -> str:
        """Tell what comes of it."""
        if bidder == "seller":
            return "own_auction"
        if amount < self.start:
            return "bid_too_low"
        self.envelopes = [envelope for envelope in self.envelopes if envelope[0] != bidder]
        self.envelopes.append((bidder, amount))
        return "sealed"

    def result(self) -> tuple[str | None, int]:
        """Open the envelopes one after the other; return winner and price, or nobody and the starting price."""
        least = self.start if self.reserve is None else self.reserve
        winner, best, second = None, 0, 0
        for bidder, amount in self.envelopes:
            if amount > best:
                winner, best, second = bidder, amount, best
            elif amount > second:
                second = amount
        if best < least:
            return None, self.start
        if not self.second_price:
            return winner, best
        return winner, max(least, second)
