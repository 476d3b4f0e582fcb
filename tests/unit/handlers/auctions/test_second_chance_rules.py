"""What can be offered, to whom, how many units, and what an accept ends; by table, and against the oracles."""

import random
from uuid import UUID

import pytest
from msgspec.structs import replace

from handlers.auctions.rules import AuctionState
from handlers.auctions.second_chances.rules import (
    DAY_MS,
    OFFERS_MAX,
    Ending,
    Offer,
    Ranked,
    check_offer,
    check_open,
    choose_bidder,
    choose_quantity,
    count_left,
    left_out,
    superseded,
)
from protocols.auctions.second_chances import SecondChanceNotOpen, SecondChanceUnavailable
from tests.support.scales import at_both_scales
from tests.unit.handlers.auctions.worlds import NAMES, ProxyWorld, SealedWorld, UnitsWorld, terms_of

ANN, BOB, CAT, DAN = (UUID(int=n) for n in range(1, 5))
RANKING = [Ranked(ANN, 90), Ranked(BOB, 80), Ranked(CAT, 80), Ranked(DAN, 10)]


def offer(
    n: int, bidder: UUID, *, piece: str = "auctioned", status: str = "open", quantity: int = 1
) -> Offer:
    return Offer(UUID(int=100 + n), bidder, piece, status, 1_000, quantity)


def ended(status: str, **more: object) -> Ending:
    got = {ANN: 1} if status == "sold" else {}
    return replace(Ending(status, 7, 1, got), **more)


ACCEPTED = offer(1, BOB, status="accepted")


@pytest.mark.parametrize(
    ("status", "age_ms", "made", "pieces", "another", "left"),
    [
        ("sold", 60 * DAY_MS, [], 0, False, 1),
        ("sold", 60 * DAY_MS + 1, [], 0, False, None),
        ("unsold", 0, [], 1, False, 1),
        ("unsold", 0, [], 0, False, None),
        ("unsold", 0, [], -1, False, None),
        ("unsold", 0, [], 1, True, None),
        ("cancelled", 0, [], 1, False, None),
        ("live", 0, [], 1, False, None),
        ("scheduled", 0, [], 1, False, None),
        ("sold", 0, [offer(n, UUID(int=n)) for n in range(OFFERS_MAX - 1)], 0, False, 1),
        ("sold", 0, [offer(n, UUID(int=n)) for n in range(OFFERS_MAX)], 0, False, None),
        ("sold", 0, [ACCEPTED], 5, False, None),
        ("sold", 0, [ACCEPTED], 5, True, 5),
        ("sold", 0, [ACCEPTED], 0, True, None),
        ("sold", 0, [offer(1, BOB, piece="another", status="accepted")], 0, False, 1),
        ("unsold", 0, [ACCEPTED], 5, False, None),
    ],
)
def test_what_can_be_offered(status, age_ms, made, pieces, another, left):
    facts = (ended(status), made, 7 + age_ms)
    if left is None:
        with pytest.raises(SecondChanceUnavailable):
            check_offer(*facts, saleable=pieces, another=another)
    else:
        assert check_offer(*facts, saleable=pieces, another=another) == left


@pytest.mark.parametrize(
    ("ending", "made", "pieces", "left"),
    [
        (ended("sold", quantity=5, got={ANN: 2, BOB: 2}), [], 0, 4),
        (ended("sold", quantity=5, got={ANN: 2, BOB: 2}), [offer(1, CAT, quantity=3)], 0, 4),
        (ended("sold", quantity=5, got={ANN: 4}), [offer(1, CAT, status="accepted", quantity=3)], 0, 1),
        (ended("sold", quantity=5, got={ANN: 3}), [offer(1, CAT, status="accepted", quantity=3)], 9, None),
        (ended("unsold", quantity=5), [], 9, 5),
        (ended("unsold", quantity=5), [offer(1, CAT, status="accepted", quantity=2)], 2, 2),
        (ended("unsold", quantity=5), [offer(1, CAT, status="accepted", quantity=5)], 9, None),
    ],
)
def test_of_several_units_as_many_as_were_auctioned_are_offered_once_more(ending, made, pieces, left):
    if left is None:
        with pytest.raises(SecondChanceUnavailable, match="has accepted"):
            check_offer(ending, made, 7, saleable=pieces, another=False)
    else:
        assert check_offer(ending, made, 7, saleable=pieces, another=False) == left


def test_every_further_unit_allows_one_offer_more():
    many = [offer(n, UUID(int=n)) for n in range(OFFERS_MAX + 2)]
    three = ended("sold", quantity=3, got={ANN: 3})
    assert check_offer(three, many[:-1], 7, saleable=0, another=False) == 3
    with pytest.raises(SecondChanceUnavailable, match="at most 12"):
        check_offer(three, many, 7, saleable=0, another=False)


@pytest.mark.parametrize(
    ("winner", "nth", "bidder", "chosen"),
    [
        (ANN, 1, None, BOB),
        (ANN, 2, None, CAT),
        (ANN, 3, None, DAN),
        (ANN, 4, None, None),
        (None, 1, None, ANN),
        (BOB, 1, None, ANN),  # bought now under a higher maximum
        (ANN, None, CAT, CAT),
        (ANN, None, ANN, None),
        (ANN, None, UUID(int=77), None),
        (ANN, None, None, None),
    ],
)
def test_who_gets_it(winner, nth, bidder, chosen):
    losers = left_out(RANKING, {} if winner is None else {winner: 1})
    if chosen is None:
        with pytest.raises(SecondChanceUnavailable):
            choose_bidder(losers, [], nth=nth, bidder_id=bidder)
    else:
        assert choose_bidder(losers, [], nth=nth, bidder_id=bidder).bidder_id == chosen


@pytest.mark.parametrize("status", ["open", "accepted", "declined", "expired", "withdrawn"])
def test_a_bidder_has_one_offer_of_an_auction(status):
    with pytest.raises(SecondChanceUnavailable, match="has had"):
        choose_bidder(RANKING[1:], [offer(1, BOB, status=status)], nth=1, bidder_id=None)


@pytest.mark.parametrize(
    ("lacks", "left", "wanted", "quantity"),
    [
        (1, 1, None, 1),
        (3, 2, None, 2),
        (2, 3, None, 2),
        (3, 3, 1, 1),
        (3, 3, 3, 3),
        (3, 2, 3, None),
        (2, 3, 3, None),
    ],
)
def test_an_offer_is_about_units_that_are_there_and_that_the_bidder_lacks(lacks, left, wanted, quantity):
    chosen = Ranked(BOB, 80, lacks)
    if quantity is None:
        with pytest.raises(SecondChanceUnavailable):
            choose_quantity(chosen, left, wanted)
    else:
        assert choose_quantity(chosen, left, wanted) == quantity


def test_an_offer_is_open_until_the_instant_it_expires():
    check_open(offer(1, BOB), 999)
    with pytest.raises(SecondChanceNotOpen, match="expired"):
        check_open(offer(1, BOB), 1_000)
    for status in ("accepted", "declined", "expired", "withdrawn"):
        with pytest.raises(SecondChanceNotOpen) as refused:
            check_open(offer(1, BOB, status=status), 0)
        assert refused.value.facts == {"offer_status": status}


def test_an_accept_ends_the_open_offers_of_the_same_piece_alone():
    mine, rival = offer(1, BOB), offer(2, CAT)
    others = [mine, rival, offer(3, DAN, piece="another"), offer(4, ANN, status="declined")]
    assert superseded(mine, others, ended("sold")) == [rival.offer_id]
    assert superseded(offer(3, DAN, piece="another"), others, ended("sold")) == []


def test_of_several_units_an_accept_ends_the_offers_of_more_than_are_left():
    four = ended("sold", quantity=4, got={ANN: 4})
    mine, one, two = offer(1, BOB, quantity=2), offer(2, CAT), offer(3, DAN, quantity=2)
    sold = offer(4, UUID(int=9), status="accepted")
    assert superseded(mine, [mine, one, two], four) == []
    assert superseded(mine, [mine, one, two, sold], four) == [two.offer_id]
    assert count_left(four, [sold, replace(mine, status="accepted")]) == 1


def got_by(state: AuctionState) -> dict[UUID, int]:
    if state.status != "sold":
        return {}
    return {p.bidder_id: p.units for p in state.allocations} or {state.leader_id: 1}


def by_name(losers: list[Ranked]) -> list[tuple[str, int, int]]:
    return [(NAMES[r.bidder_id], r.amount, r.quantity) for r in losers]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["english", "reverse"])
@at_both_scales
def test_the_next_best_are_those_that_the_oracle_would_have_next(name, runs):
    """Without the winner's bids the oracle's next leader is the first one left out, and so on."""
    dice, seen, sign = random.Random(name), 0, -1 if name == "reverse" else 1
    for _ in range(runs // 10):
        start = dice.choice([510, 1_100])
        world = ProxyWorld(terms_of(name, start))
        for _ in range(dice.randrange(1, 12)):
            amount = max(1, start + sign * dice.choice([0, 5, 25, 51, 100, 250]))
            world.move(dice.choice("abcde"), None if dice.random() < 0.07 else amount)
        best: dict[UUID, Ranked] = {}
        for bid in sorted(world.standing, key=lambda b: (-sign * b.amount, b.number)):
            best.setdefault(bid.bidder_id, Ranked(bid.bidder_id, bid.amount))
        closed = replace(world.state, status="sold" if world.standing else "unsold")
        losers = by_name(left_out(list(best.values()), got_by(closed)))
        expected = []
        while world.oracle.bids:
            leader = world.oracle.leader()
            expected.append((leader, world.oracle.ranking(world.oracle.bids)[0][0], 1))
            world.oracle.bids = [bid for bid in world.oracle.bids if bid[0] != leader]
        assert losers == expected[1:]
        seen += len(losers)
    assert seen > runs // 20


@pytest.mark.timeout(600)
@at_both_scales
def test_the_units_that_bidders_lack_are_the_slips_that_the_oracle_did_not_serve(runs):
    dice, seen = random.Random(11), 0
    for _ in range(runs // 10):
        quantity = dice.choice([2, 3, 5])
        world, level = UnitsWorld(terms_of("english", 1_00, quantity=quantity)), 1_00
        for _ in range(dice.randrange(1, 14)):
            level += dice.choice([0, 0, 5, 25, 50])
            amount = None if dice.random() < 0.05 else level
            world.move(dice.choice("abcdef"), amount, dice.randint(1, quantity))
        last = {bid.bidder_id: bid for bid in world.standing}.values()
        ranking = [
            Ranked(b.bidder_id, b.amount, b.quantity)
            for b in sorted(last, key=lambda b: (-b.amount, b.number))
        ]
        closed = replace(world.state, status="sold" if world.standing else "unsold")
        losers = left_out(ranking, got_by(closed))
        unserved = [(name, -amount) for amount, _, name in world.oracle.slips()[quantity:]]
        told = [(who, amount) for who, amount, lacks in by_name(losers) for _ in range(lacks)]
        assert told == unserved
        seen += len(told)
    assert seen > runs // 20


@pytest.mark.timeout(600)
@at_both_scales
def test_of_sealed_bids_those_are_next_that_the_oracle_deals_to_without_the_winners(runs):
    dice, seen = random.Random(12), 0
    for _ in range(runs // 10):
        start, quantity = 100, dice.choice([1, 2, 3])
        world = SealedWorld(terms_of("sealed_first_price", start, quantity=quantity))
        for _ in range(dice.randrange(1, 10)):
            world.move(
                dice.choice("abcdef"), start + dice.choice([0, 1, 5, 5, 50]), dice.randint(1, quantity)
            )
        got, _ = world.oracle.deal()
        bids = sorted(world.standing.values(), key=lambda b: (-b.amount, b.number))
        ranking = [Ranked(b.bidder_id, b.amount, b.quantity) for b in bids]
        losers = by_name(left_out(ranking, {r.bidder_id: got.get(NAMES[r.bidder_id], 0) for r in ranking}))
        rest = [(who, amount, n - got.get(who, 0)) for who, amount, n in world.oracle.envelopes]
        while any(wish[2] for wish in rest):
            world.oracle.envelopes, world.oracle.units = [wish for wish in rest if wish[2]], 1
            (first,) = world.oracle.deal()[0]
            assert losers.pop(0)[0] == first
            rest = [wish for wish in rest if wish[0] != first]
            seen += 1
        assert losers == []
    assert seen > runs // 20
