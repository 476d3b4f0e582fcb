"""The worked examples of docs/auctions.md are executed, line by line."""

import re
from pathlib import Path
from uuid import UUID

import pytest

from handlers.auctions import rules
from handlers.auctions.formats import dutch_rules, sealed_rules
from handlers.auctions.formats.table import FORMATS, rules_of
from protocols.auctions.audits import commitment_of
from protocols.errors import Refusal

TEXT = (Path(__file__).parents[4] / "docs" / "auctions.md").read_text()
EXAMPLES = re.findall(r"```example\n(.*?)```", TEXT, re.DOTALL)
PEOPLE = {name: UUID(int=place) for place, name in enumerate(("ann", "bob", "eve"), 1)}


def to_ms(text: str) -> int:
    minutes, seconds = text.split(":")
    return (int(minutes) * 60 + int(seconds)) * 1000


def read_terms(line: str) -> rules.SaleTerms:
    name, *pairs = line.split()
    facts = dict(pair.split("=") for pair in pairs)
    soft = [int(part) for part in facts["soft_close"].split("/")] if "soft_close" in facts else None
    fall = [int(facts[part]) for part in ("floor", "step", "tick")] if "floor" in facts else None
    return rules.SaleTerms(
        seller_id=UUID(int=99),
        starting_price=int(facts["start"]),
        reserve_price=int(facts["reserve"]) if "reserve" in facts else None,
        buy_now_price=None,
        starts_at_ms=0,
        ends_at_ms=to_ms(facts["ends"]),
        steps=rules.default_steps(2),
        soft_close=rules.SoftCloseTerms(soft[0] * 1000, soft[1] * 1000, soft[2]) if soft else None,
        format=name,
        fall=rules.Fall(fall[0], fall[1], fall[2] * 1000) if fall else None,
        quantity=int(facts.get("units", 1)),
    )


class Play:
    """One example under way."""

    def __init__(self, terms: rules.SaleTerms) -> None:
        self.terms = terms
        self.row = rules_of(terms.format, terms.quantity)
        self.state = rules.open_state(terms, 0)
        self.envelopes: dict[UUID, sealed_rules.OpenedBid] = {}

    def bid(self, who: UUID, amount: int, quantity: int, at_ms: int) -> str:
        if self.row.bid_mechanism == "open":
            self.state = self.row.apply_bid(self.terms, self.state, who, amount, at_ms, quantity)
            return "leading" if rules.units_of(self.state, who) else "outbid"
        if self.row.bid_mechanism == "clock":
            self.state = dutch_rules.accept(self.terms, self.state, who, amount, at_ms)
            return "won"
        replaces = who in self.envelopes
        self.state = sealed_rules.seal(self.terms, self.state, who, amount, at_ms, replaces=replaces)
        self.envelopes[who] = sealed_rules.OpenedBid(self.state.event_number, who, amount, quantity)
        return "sealed"

    def end(self) -> str:
        if self.row.end is None:
            self.state = sealed_rules.open_bids(self.terms, self.state, list(self.envelopes.values()))
        elif self.state.status == "live":
            self.state = self.row.end(self.terms, self.state)
        return self.state.status

    def facts(self, who: UUID | None = None) -> dict[str, object]:
        names = {place: name for name, place in PEOPLE.items()}
        state = self.state
        winners = ",".join(
            f"{names[allocation.bidder_id]}:{allocation.units}" for allocation in state.allocations
        )
        return {
            "price": state.price,
            "minimum": state.minimum_bid,
            "ends": state.ends_at_ms,
            "winner": names.get(state.leader_id),
            "winners": winners,
            "units": rules.units_of(state, who) if who else None,
        }


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.splitlines()[0])
def test_the_example_is_what_the_rules_do(example):
    first, *lines = example.strip().splitlines()
    play = Play(read_terms(first))
    assert lines[-1].startswith("end -> ")
    for line in lines:
        said, result = line.split(" -> ")
        outcome, *pairs = result.split()
        expected = dict(pair.split("=") for pair in pairs)
        facts, bidder = {}, None
        if said == "end":
            told = play.end()
        else:
            at, who, _, amount, *units = said.split()
            bidder = PEOPLE[who]
            try:
                told = play.bid(bidder, int(amount), int(units[1]) if units else 1, to_ms(at))
            except Refusal as refusal:
                told = refusal.code
                facts = {name.removesuffix("_bid"): limit for name, limit in refusal.facts.items()}
        facts = play.facts(bidder) | facts
        shown = {name: to_ms(value) if name == "ends" else value for name, value in expected.items()}
        assert (told, {n: str(facts[n]) for n in shown}) == (
            outcome,
            {n: str(v) for n, v in shown.items()},
        ), line


def test_every_format_has_an_example():
    formats = {example.split()[0] for example in EXAMPLES}
    assert formats == set(FORMATS)


def test_the_increment_table_is_the_built_in_one():
    cells = [
        [cell.replace(",", "").replace(".", "") for cell in line.split(" | ")[1:]]
        for line in TEXT.splitlines()
        if line.startswith(("| below |", "| step |"))
    ]
    limits, steps = ([int(cell.rstrip("| ")) for cell in row if cell.strip("| ").isdigit()] for row in cells)
    assert (tuple(limits), tuple(steps)) == (rules.default_steps(2).limits, rules.default_steps(2).steps)


def test_the_example_of_a_commitment_is_right():
    ((auction, bidder, amount, nonce, commitment),) = re.findall(
        r"```commitment\n(\S+) (\S+) (\d+) ([0-9a-f]{64})\n([0-9a-f]{64})\n```", TEXT
    )
    assert commitment_of(auction, bidder, int(amount), nonce) == commitment
