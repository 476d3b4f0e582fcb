"""Auctions of every format on both sides at once, rules and oracle: a move is made on both, then all is compared.

A move is (bidder, amount, quantity); an amount of None takes all bids of the bidder back, where the format knows that.
"""

from copy import copy, deepcopy
from uuid import UUID

from handlers.auctions import rules
from handlers.auctions.formats import dutch_rules, sealed_rules
from handlers.auctions.formats.table import rules_of
from protocols.errors import Refusal
from tests.unit.handlers.auctions.format_oracles import DutchOracle, ReverseOracle, SealedOracle, UnitsOracle
from tests.unit.handlers.auctions.oracle import Oracle

IDS = {name: UUID(int=place) for place, name in enumerate(["seller", *"abcdef"], 1)}
NAMES = {place: name for name, place in IDS.items()}
ENDS_MS = 10**9
Move = tuple[str, int | None, int]


def terms_of(name: str, start: int, **more: object) -> rules.SaleTerms:
    return rules.SaleTerms(
        seller_id=IDS["seller"],
        starting_price=start,
        buy_now_price=None,
        starts_at_ms=0,
        steps=rules.default_steps(2),
        soft_close=None,
        format=name,
        **{"reserve_price": None, "ends_at_ms": ENDS_MS, **more},
    )


def refusal_of(error: Refusal) -> tuple[str, int | None]:
    """The code, and the limit it carries."""
    return error.code, next(iter(error.facts.values()), None)


def attempt(judge, *words: object, **more: object) -> tuple[rules.AuctionState | None, Refusal | None]:
    """Return the state after a bid, or why there is none."""
    try:
        return judge(*words, **more), None
    except Refusal as refusal:
        return None, refusal


class World:
    """What is the same in all formats."""

    def fork(self):
        """Return a world that goes its own way from here."""
        twin = copy(self)
        twin.oracle = deepcopy(self.oracle)
        twin.standing = copy(self.standing)
        return twin


class ProxyWorld(World):
    """English and reverse auctions: hidden limits of the best two."""

    def __init__(self, terms: rules.SaleTerms) -> None:
        self.terms = terms
        self.descending = terms.format == "reverse"
        oracle = ReverseOracle if self.descending else Oracle
        self.oracle = oracle(terms.starting_price, terms.reserve_price)
        self.row = rules_of(terms.format, 1)
        self.state = rules.open_state(terms, 0)
        self.standing: list[rules.StandingBid] = []

    def limit_for(self, bidder: str) -> int:
        return self.oracle.maximum(bidder) if self.descending else self.oracle.minimum(bidder)

    def move(self, bidder: str, amount: int | None, quantity: int = 1) -> str:
        before = self.state
        if amount is None:
            gone = {place for place, bid in enumerate(self.standing) if bid.bidder_id == IDS[bidder]}
            self.standing = [bid for place, bid in enumerate(self.standing) if place not in gone]
            self.state = self.row.retract(self.terms, before, self.standing, len(self.standing))
            self.oracle.retract(gone)
            told = "retracted"
        else:
            limit = self.limit_for(bidder)
            taken = self.oracle.bid(bidder, amount)
            after, refusal = attempt(self.row.apply_bid, self.terms, before, IDS[bidder], amount, 1, quantity)
            if refusal:
                code = "bid_too_high" if self.descending else "bid_too_low"
                assert (taken, refusal_of(refusal)) == (False, (code, limit))
                return code
            assert taken
            self.state = after
            assert self.state.price <= before.price if self.descending else self.state.price >= before.price
            self.standing.append(rules.StandingBid(self.state.event_number, IDS[bidder], amount, 1))
            told = "leading" if self.state.leader_id == IDS[bidder] else "outbid"
        assert self.state.event_number == before.event_number + 1
        self.compare()
        return told

    def compare(self) -> None:
        state, oracle = self.state, self.oracle
        leader = oracle.leader()
        assert (state.price, NAMES.get(state.leader_id)) == (oracle.price(), leader)
        assert state.minimum_bid == self.limit_for("nobody")
        assert state.bid_count == len(oracle.bids)
        best = oracle.ranking(oracle.bids)[0][0] if oracle.bids else 0
        assert state.leader_max == best
        reserve = self.terms.reserve_price
        met = reserve is None or (
            leader is not None and (best <= reserve if self.descending else best >= reserve)
        )
        assert rules.reserve_met(self.terms, state) == met

    def end(self) -> str:
        closed = rules.close(self.terms, self.state)
        assert (closed.status == "sold") == (bool(self.oracle.bids) and rules.reserve_met(self.terms, closed))
        return closed.status


class UnitsWorld(World):
    """Several units, ascending."""

    def __init__(self, terms: rules.SaleTerms) -> None:
        self.terms = terms
        self.oracle = UnitsOracle(terms.starting_price, terms.quantity)
        self.row = rules_of(terms.format, terms.quantity)
        self.state = rules.open_state(terms, 0)
        self.standing: list[rules.StandingBid] = []

    def move(self, bidder: str, amount: int | None, quantity: int = 1) -> str:
        before = self.state
        if amount is None:
            self.standing = [bid for bid in self.standing if bid.bidder_id != IDS[bidder]]
            last = {bid.bidder_id: bid for bid in self.standing}.values()
            self.state = self.row.retract(self.terms, before, last, len(self.standing))
            self.oracle.retract(bidder)
            told = "retracted"
        else:
            minimum = self.oracle.minimum(bidder)
            told = self.oracle.bid(bidder, amount, quantity)
            after, refusal = attempt(self.row.apply_bid, self.terms, before, IDS[bidder], amount, 1, quantity)
            if refusal:
                assert refusal_of(refusal) == (told, minimum if told == "bid_too_low" else None)
                return told
            self.state = after
            number = self.state.event_number
            self.standing.append(rules.StandingBid(number, IDS[bidder], amount, 1, quantity))
            assert (told, self.state.price >= before.price) == ("leading", True)
        assert self.state.event_number == before.event_number + 1
        self.compare()
        return told

    def compare(self) -> None:
        state, oracle = self.state, self.oracle
        holders = oracle.holders()
        assert {NAMES[allocation.bidder_id]: allocation.units for allocation in state.allocations} == holders
        assert (state.price, state.minimum_bid) == (oracle.price(), oracle.minimum("nobody"))
        assert state.bid_count == len(oracle.bids)
        assert all(rules.units_of(state, IDS[name]) == holders.get(name, 0) for name in "abcdef")
        assert NAMES.get(state.leader_id) == next(iter(holders), None)

    def end(self) -> str:
        closed = rules.close(self.terms, self.state)
        assert (closed.status == "sold") == bool(self.oracle.bids)
        return closed.status


class SealedWorld(World):
    """Envelopes, opened at the end."""

    def __init__(self, terms: rules.SaleTerms) -> None:
        self.terms = terms
        second = terms.format == "sealed_second_price"
        self.oracle = SealedOracle(terms.starting_price, terms.reserve_price, second, terms.quantity)
        self.state = rules.open_state(terms, 0)
        self.standing: dict[str, sealed_rules.OpenedBid] = {}

    def move(self, bidder: str, amount: int | None, quantity: int = 1) -> str:
        if amount is None:
            return "not taken back"
        told = self.oracle.bid(bidder, amount, quantity)
        replaces = bidder in self.standing
        who = IDS[bidder]
        after, refusal = attempt(sealed_rules.seal, self.terms, self.state, who, amount, 1, replaces=replaces)
        if refusal:
            assert refusal.code == told
            return told
        self.state = after
        number = self.state.event_number
        self.standing[bidder] = sealed_rules.OpenedBid(number, IDS[bidder], amount, quantity)
        start = self.terms.starting_price
        assert (self.state.price, self.state.minimum_bid, self.state.leader_id) == (start, start, None)
        assert self.state.bid_count == len(self.oracle.envelopes)
        return told

    def end(self) -> str:
        bids = sorted(self.standing.values(), key=lambda bid: (bid.amount * 7919 + bid.number) % 13)
        closed = sealed_rules.open_bids(self.terms, self.state, bids)
        got, price = self.oracle.deal()
        assert (closed.status, closed.price) == ("sold" if got else "unsold", price)
        assert {name: n for name in "abcdef" if (n := rules.units_of(closed, IDS[name]))} == got
        assert NAMES.get(closed.leader_id) == next(iter(got), None)
        assert closed.event_number == self.state.event_number + sealed_rules.count_chunks(len(bids)) + 1
        return closed.status


class DutchWorld(World):
    """The clock: each move comes one tick after the one before."""

    def __init__(self, terms: rules.SaleTerms) -> None:
        self.terms = terms
        fall = terms.fall
        self.oracle = DutchOracle(
            terms.starting_price, fall.floor_price, fall.step, fall.tick_ms, terms.ends_at_ms
        )
        self.state = rules.open_state(terms, 0)
        self.standing: list[object] = []
        self.at_ms = 0

    def move(self, bidder: str, amount: int | None, quantity: int = 1, after_ms: int | None = None) -> str:
        self.at_ms += self.terms.fall.tick_ms if after_ms is None else after_ms
        told = self.oracle.bid(bidder, amount, self.at_ms)
        before = self.state
        after, refusal = attempt(dutch_rules.accept, self.terms, before, IDS[bidder], amount, self.at_ms)
        if refusal:
            assert refusal.code == told
            if told == "bid_too_low":
                price = dutch_rules.price_at(self.terms, self.at_ms)
                assert refusal.facts["minimum_bid"] == self.oracle.price == price
            return told
        self.state = after
        assert (told, after.price, NAMES[after.leader_id]) == ("won", self.oracle.price, bidder)
        assert (after.event_number, after.bid_count) == (before.event_number + 2, 1)
        return told

    def end(self) -> str:
        if self.state.status == "live":
            closed = rules_of("dutch", 1).end(self.terms, self.state)
            self.oracle.walk_to(self.terms.ends_at_ms)
            assert (closed.status, closed.price) == ("unsold", self.oracle.price)
            return closed.status
        return self.state.status
