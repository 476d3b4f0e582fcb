"""The rules of signals as pure functions: numbers in, scores out. A signal is a reason to look, never a verdict.

Each rule needs several facts at once, so that a plain honest auction raises none: a bidder who spreads over sellers,
wins now and then, takes back a typing mistake early, or shares nothing but the market with the seller.
"""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address

from msgspec import Struct

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

HISTORY_MS = 90 * DAY_MS
"""How far back a bidder's conduct is looked at."""

SHIELD_WINDOW_MS = DAY_MS
"""Shielding: a bid is taken back this late before the end …"""

SHIELD_FACTOR = 2
"""… that was at least this many times the price the auction ended at: it kept others away, then made room."""

ONE_SELLER_AUCTIONS = 5
"""One seller: as many auctions of the same seller at least …"""

ONE_SELLER_SHARE = 80
"""… which are this percentage at least of all auctions the bidder bid in …"""

ONE_SELLER_BIDS = 15
"""… with as many bids at least, and no win."""

NEVER_WINS_AUCTIONS = 10
"""Never wins: as many auctions of the same seller at least …"""

NEVER_WINS_SHARE = 40
"""… this percentage at least of the bidder's auctions, so that it is no crowd's plain bad luck …"""

NEVER_WINS_BIDS = 40
"""… with as many bids at least, and no win."""

SHARED_ADDRESS_SCORE = 70
"""Seller and bidder are signed in from one public address: a household, an office, or one person."""


class Conduct(Struct, frozen=True):
    """What a bidder did in the last ninety days; `here` is with the seller of the auction that is looked at."""

    auctions: int
    auctions_here: int
    bids_here: int
    wins_here: int


class Finding(Struct, frozen=True):
    """A signal of one bidder in one auction."""

    kind: str
    score: int
    evidence: dict[str, int]


def find_signals(
    conduct: Conduct,
    retracted: Sequence[tuple[int, int]],
    price: int,
    ends_at_ms: int,
    shared_addresses: int,
) -> list[Finding]:
    """Return what a bidder's facts are signals of; `retracted` are amounts and instants of bids taken back by wish."""
    rules = (
        _shielding(retracted, price, ends_at_ms),
        _one_seller(conduct),
        _never_wins(conduct),
        _shared_address(shared_addresses),
    )
    return [finding for rule in rules for finding in rule]


def count_public(addresses: Iterable[str]) -> int:
    """Return how many addresses tell anything: those of private networks and of this machine are shared by many."""
    return sum(_is_public(address) for address in addresses)


def _is_public(address: str) -> bool:
    try:
        return ip_address(address).is_global
    except ValueError:
        return False


def _score(base: int, beyond: int) -> int:
    return max(1, min(100, base + beyond))


def _shielding(retracted: Sequence[tuple[int, int]], price: int, ends_at_ms: int) -> Iterator[Finding]:
    late = [amount for amount, at_ms in retracted if 0 <= ends_at_ms - at_ms <= SHIELD_WINDOW_MS]
    highest = max(late, default=0)
    if late and highest >= SHIELD_FACTOR * price:
        evidence = {"highest_retracted": highest, "price": price, "retracted_late": len(late)}
        yield Finding("shielding", _score(50, 10 * (highest // price - SHIELD_FACTOR)), evidence)


def _one_seller(conduct: Conduct) -> Iterator[Finding]:
    share = 100 * conduct.auctions_here // max(1, conduct.auctions)
    few = conduct.auctions_here < ONE_SELLER_AUCTIONS or conduct.bids_here < ONE_SELLER_BIDS
    if few or share < ONE_SELLER_SHARE or conduct.wins_here:
        return
    evidence = _history(conduct, share)
    yield Finding("one_seller", _score(40, 3 * (conduct.auctions_here - ONE_SELLER_AUCTIONS)), evidence)


def _never_wins(conduct: Conduct) -> Iterator[Finding]:
    share = 100 * conduct.auctions_here // max(1, conduct.auctions)
    few = conduct.auctions_here < NEVER_WINS_AUCTIONS or conduct.bids_here < NEVER_WINS_BIDS
    if few or share < NEVER_WINS_SHARE or conduct.wins_here:
        return
    evidence = _history(conduct, share)
    yield Finding("never_wins", _score(40, conduct.bids_here - NEVER_WINS_BIDS), evidence)


def _history(conduct: Conduct, share: int) -> dict[str, int]:
    return {
        "auctions_of_seller": conduct.auctions_here,
        "bids_with_seller": conduct.bids_here,
        "wins_with_seller": conduct.wins_here,
        "share_percent": share,
    }


def _shared_address(addresses: int) -> Iterator[Finding]:
    if addresses:
        yield Finding(
            "shared_address", _score(SHARED_ADDRESS_SCORE, 10 * (addresses - 1)), {"addresses": addresses}
        )
