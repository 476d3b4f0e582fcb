"""The formats as a table: which rules judge, retract and end an auction, which optional terms it may have, what not.

A new format is a module of pure rules and a row here; what a row bars is refused with the row's own reason.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal
from uuid import UUID

from msgspec import Struct, field

from handlers.auctions import rules
from handlers.auctions.formats import dutch_rules, reverse_rules, units_rules
from handlers.auctions.rules import AuctionState, StandingBid, Terms

Judge = Callable[[Terms, AuctionState, UUID, int, int, int], AuctionState]
"""Terms, state, bidder, amount, instant of receipt, quantity: the state after the bid. Raises refusals."""

Retract = Callable[[Terms, AuctionState, Iterable[StandingBid], int], AuctionState]
"""Terms, state, the standing bids that decide, the count of all: the state after a retraction."""

End = Callable[[Terms, AuctionState], AuctionState]
"""The state after the end."""

_EVERY_TERM = (
    "reserve_price",
    "buy_now_price",
    "soft_close",
    "increments",
    "dutch",
    "quantity",
    "exposure_guard",
)


class FormatRules(Struct, frozen=True):
    """One row of the table."""

    name: str
    """As sentences begin."""
    way: Literal["open", "clock", "sealed"]
    """How a bid takes effect: seen at once, by buying at once, or when all are opened."""
    takes: frozenset[str]
    """The optional terms it knows, of those that differ between formats."""
    judge: Judge | None = None
    """For open bids."""
    retract: Retract | None = rules.retract
    end: End | None = rules.close
    """None where the end needs more than terms and state: the opened bids."""
    descending: bool = False
    """The lowest bid wins."""
    bars: Mapping[str, str] = field(default_factory=dict)
    """What it cannot have though others can (a term, `end_early`, `second_chance`), and why, as a sentence."""

    @property
    def refuses(self) -> list[str]:
        """Return the optional terms that it does not know."""
        return [term for term in _EVERY_TERM if term not in self.takes]


_OPEN_TERMS = frozenset({"reserve_price", "soft_close", "increments"})
_SEALED = FormatRules(
    "A sealed",
    "sealed",
    frozenset({"reserve_price", "quantity"}),
    retract=None,
    end=None,
    bars={
        "exposure_guard": "A sealed auction cannot guard exposure: what its bidders have free would tell what they bid",
        "end_early": "Sealed bids are opened at the end that was announced to all bidders; cancel the auction instead",
    },
)

FORMATS: dict[str, FormatRules] = {
    "english": FormatRules(
        "An English", "open", _OPEN_TERMS | {"buy_now_price", "quantity", "exposure_guard"}, rules.judge_bid
    ),
    "reverse": FormatRules(
        "A reverse",
        "open",
        _OPEN_TERMS,
        reverse_rules.judge_bid,
        reverse_rules.retract,
        descending=True,
        bars={
            "exposure_guard": "A reverse auction cannot guard exposure: its bidders are paid, and owe nothing",
            "another_piece": "A reverse auction is about one job; open another auction for another one",
        },
    ),
    "dutch": FormatRules(
        "A Dutch",
        "clock",
        frozenset({"dutch", "exposure_guard"}),
        end=dutch_rules.end,
        bars={
            "end_early": "A Dutch auction ends with its first bid, so nobody leads one; cancel it instead",
            "second_chance": "A Dutch auction ends with its first bid, so nobody has bid and not got it",
        },
    ),
    "sealed_first_price": _SEALED,
    "sealed_second_price": _SEALED,
}

_SEVERAL: dict[str, FormatRules] = {
    "english": FormatRules(
        "A multi-unit",
        "open",
        frozenset({"soft_close", "increments", "quantity", "exposure_guard"}),
        units_rules.judge_bid,
        units_rules.retract,
    ),
}
"""Rows that hold instead for lots of several units."""


def rules_of(name: str, quantity: int) -> FormatRules:
    """Return the row for auctions of a format with so many units."""
    row = FORMATS[name]
    return row if quantity == 1 else _SEVERAL.get(name, row)
