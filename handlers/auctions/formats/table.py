"""The auction formats as a table: the rules that apply a bid, retract bids and end an auction, and the terms supported.

A new format is a module of pure rules and a row here. What a row lists as unsupported is refused with its reason.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal
from uuid import UUID

from msgspec import Struct, field

from handlers.auctions import rules
from handlers.auctions.formats import dutch_rules, reverse_rules, units_rules
from handlers.auctions.rules import AuctionState, SaleTerms, StandingBid

ApplyBid = Callable[[SaleTerms, AuctionState, UUID, int, int, int], AuctionState]
"""SaleTerms, state, bidder, amount, instant of receipt, quantity: the state after the bid. Raises refusals."""

Retract = Callable[[SaleTerms, AuctionState, Iterable[StandingBid], int], AuctionState]
"""SaleTerms, state, the standing bids that decide, the count of all: the state after a retraction."""

End = Callable[[SaleTerms, AuctionState], AuctionState]
"""The state after the end."""

_EVERY_TERM = (
    "reserve_price",
    "buy_now_price",
    "soft_close",
    "increments",
    "dutch",
    "quantity",
    "exposure_guard",
    "wallet_guard",
    "deposit",
)


class FormatRules(Struct, frozen=True, kw_only=True):
    """One row of the table."""

    name: str
    """As a sentence about an auction of this format begins."""
    bid_mechanism: Literal["open", "clock", "sealed"]
    """How a bid takes effect: seen at once, by buying at once, or when all are opened."""
    supported_terms: frozenset[str]
    """The optional terms it supports, of those that differ between formats."""
    apply_bid: ApplyBid | None = None
    """Given where bids are open."""
    retract: Retract | None = rules.retract
    end: End | None = rules.close
    """None where the end needs more than terms and state: the opened bids."""
    descending: bool = False
    """The lowest bid wins."""
    unsupported: Mapping[str, str] = field(default_factory=dict)
    """What it does not support though other formats do (a term, `end_early`, `second_chance`): why, as a sentence."""

    @property
    def refused_terms(self) -> list[str]:
        """Return the optional terms that this format does not support."""
        return [term for term in _EVERY_TERM if term not in self.supported_terms]


_OPEN_TERMS = frozenset({"reserve_price", "soft_close", "increments"})
_SEALED = FormatRules(
    name="A sealed",
    bid_mechanism="sealed",
    supported_terms=frozenset({"reserve_price", "quantity", "deposit"}),
    retract=None,
    end=None,
    unsupported={
        "exposure_guard": "A sealed auction cannot guard exposure: what its bidders have free would tell what they bid",
        "wallet_guard": "A sealed auction cannot guard by wallets: what its bidders have free would tell what they bid",
        "end_early": "Sealed bids are opened at the end that was announced to all bidders; cancel the auction instead",
    },
)

FORMATS: dict[str, FormatRules] = {
    "english": FormatRules(
        name="An English",
        bid_mechanism="open",
        supported_terms=_OPEN_TERMS
        | {"buy_now_price", "quantity", "exposure_guard", "wallet_guard", "deposit"},
        apply_bid=rules.apply_bid,
    ),
    "reverse": FormatRules(
        name="A reverse",
        bid_mechanism="open",
        supported_terms=_OPEN_TERMS,
        apply_bid=reverse_rules.apply_bid,
        retract=reverse_rules.retract,
        descending=True,
        unsupported={
            "exposure_guard": "A reverse auction cannot guard exposure: its bidders are paid, and owe nothing",
            "wallet_guard": "A reverse auction cannot guard by wallets: its bidders are paid, and owe nothing",
            "deposit": "A reverse auction takes no deposits: its bidders are paid, and owe nothing",
            "another_piece": "A reverse auction is about one job; open another auction for another one",
        },
    ),
    "dutch": FormatRules(
        name="A Dutch",
        bid_mechanism="clock",
        supported_terms=frozenset({"dutch", "exposure_guard", "wallet_guard", "deposit"}),
        end=dutch_rules.end,
        unsupported={
            "end_early": "A Dutch auction ends with its first bid, so nobody leads one; cancel it instead",
            "second_chance": "A Dutch auction ends with its first bid, so nobody has bid and not got it",
        },
    ),
    "sealed_first_price": _SEALED,
    "sealed_second_price": _SEALED,
}

_SEVERAL_UNITS: dict[str, FormatRules] = {
    "english": FormatRules(
        name="A multi-unit",
        bid_mechanism="open",
        supported_terms=frozenset(
            {"soft_close", "increments", "quantity", "exposure_guard", "wallet_guard", "deposit"}
        ),
        apply_bid=units_rules.apply_bid,
        retract=units_rules.retract,
    ),
}
"""Rows that apply instead to auctions of several units."""


def rules_of(name: str, quantity: int) -> FormatRules:
    """Return the row for auctions of a format with this number of units."""
    row = FORMATS[name]
    return row if quantity == 1 else _SEVERAL_UNITS.get(name, row)
