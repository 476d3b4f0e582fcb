"""The worked examples of docs/auctions.md are executed, line by line."""

import re
from pathlib import Path
from uuid import UUID

import pytest

from handlers.auctions import dutch_rules, rules, sealed_rules
from protocols.auction_audits import commitment_of
from protocols.errors import Refusal

TEXT = (Path(__file__).parents[4] / "docs" / "auctions.md").read_text()
EXAMPLES = re.findall(r"```example\n(.*?)```", TEXT, re.DOTALL)
PEOPLE = {name: UUID(int=place) for place, name in enumerate(("ann", "bob", "eve"), 1)}


def to_ms(text: str) -> int:
    minutes, seconds = text.split(":")
    return (int(minutes) * 60 + int(seconds)) * 1000


def read_terms(line: str) -> rules.Terms:
    name, *pairs = line.split()
    facts = dict(pair.split("=") for pair in pairs)
    soft = [int(part) for part in facts["soft_close"].split("/")] if "soft_close" in facts else None
    fall = [int(facts[part]) for part in ("floor", "step", "tick")] if "floor" in facts else None
    return rules.Terms(
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
    )


class Play:
    """One example under way."""

    def __init__(self, terms: rules.Terms) -> None:
        self.terms = terms
        self.state = rules.open_state(terms, 0)
        self.envelopes: dict[UUID, sealed_rules.OpenedBid] = {}

    def bid(self, who: UUID, amount: int, at_ms: int) -> str:
        if self.terms.format == "english":
            self.state = rules.judge_bid(self.terms, self.state, who, amount, at_ms)
            return "leading" if self.state.leader_id == who else "outbid"
        if self.terms.format == "dutch":
            self.state = dutch_rules.accept(self.terms, self.state, who, amount, at_ms)
            return "won"
        replaces = who in self.envelopes
        self.state = sealed_rules.seal(self.terms, self.state, who, amount, at_ms, replaces=replaces)
        self.envelopes[who] = sealed_rules.OpenedBid(self.state.event_number, who, amount)
        return "sealed"

    def end(self) -> str:
        if self.terms.format.startswith("sealed"):
            self.state = sealed_rules.open_bids(self.terms, self.state, list(self.envelopes.values()))
        elif self.state.status == "live":
            self.state = rules.close(self.terms, self.state)
            if self.terms.format == "dutch":
                self.state = dutch_rules.stop_clock(self.terms, self.state, self.terms.ends_at_ms)
        return self.state.status

    def facts(self) -> dict[str, object]:
        names = {place: name for name, place in PEOPLE.items()}
        state = self.state
        return {
            "price": state.price,
            "minimum": state.minimum_bid,
            "ends": state.ends_at_ms,
            "winner": names.get(state.leader_id),
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
        facts = {}
        if said == "end":
            told = play.end()
        else:
            at, who, _, amount = said.split()
            try:
                told = play.bid(PEOPLE[who], int(amount), to_ms(at))
            except Refusal as refusal:
                told, facts = refusal.code, {"minimum": refusal.facts.get("minimum_bid")}
        facts = play.facts() | facts
        shown = {name: to_ms(value) if ":" in value else value for name, value in expected.items()}
        assert (told, {n: str(facts[n]) for n in shown}) == (
            outcome,
            {n: str(v) for n, v in shown.items()},
        ), line


def test_every_format_has_an_example():
    formats = {example.split()[0] for example in EXAMPLES}
    assert formats == {"english", "dutch", "sealed_first_price", "sealed_second_price"}


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
